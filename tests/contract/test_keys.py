"""API keys are valid while they and their service users are active."""

from __future__ import annotations

import pytest
from django.test import Client

from portal import sign_in
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, ApiToken, User
from tests import make
from tests.api import Caller, refused
from tests.signed_in import staff

pytestmark = pytest.mark.django_db
KEY = "SU-777-000-001:the-secret-of-a-key"
UNAUTHORIZED = "API request is unauthorized."


@pytest.fixture
def catalog() -> make.Catalog:
    catalog = make.catalog("7")
    keys.store(catalog.vendor, KEY, "Extension")
    return catalog


def reads(key: str) -> int:
    return Caller(key).get("/accounts").status


def test_key_identifies_its_account(catalog: make.Catalog) -> None:
    other = make.catalog("8")
    assert [row["id"] for row in Caller(KEY).get("/accounts").json] == [catalog.vendor.pk]
    assert Caller(KEY).get(f"/accounts/{other.vendor.pk}").status == 404


def test_revoked_key_is_refused(catalog: make.Catalog) -> None:
    assert reads(KEY) == 200
    ApiToken.objects.update(active=False)
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)
    keys.store(catalog.vendor, KEY, "Extension")
    assert reads(KEY) == 200


def test_key_of_inactive_user_is_refused(catalog: make.Catalog) -> None:
    User.objects.filter(uid="SU-777-000-001").update(is_active=False)
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)


def test_key_of_deleted_user_is_refused(catalog: make.Catalog) -> None:
    User.objects.filter(uid="SU-777-000-001").delete()
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)


def test_key_of_deleted_account_is_refused() -> None:
    lonely = Account.objects.create(id="VA-909-909", name="Gone", type="vendor", created=make.AT)
    keys.store(lonely, "SU-909-000-001:secret-of-nobody", "Gone")
    lonely.delete()
    assert reads("SU-909-000-001:secret-of-nobody") == 401


@pytest.mark.parametrize(
    "key",
    ["SU-777-000-001:another-secret", "SU-777-000-002:the-secret-of-a-key",
     "UR-777-777-001:the-secret-of-a-key", "SU-777-000-001:", "SU-777-000-001", "", "x:y"],
)  # fmt: skip
def test_unknown_key_is_refused(catalog: make.Catalog, key: str) -> None:
    refused(Caller(key or None).get("/accounts"), 401, UNAUTHORIZED)


def test_new_secret_replaces_the_old_one(catalog: make.Catalog) -> None:
    keys.store(catalog.vendor, "SU-777-000-001:a-newer-secret", "Extension")
    assert (reads(KEY), reads("SU-777-000-001:a-newer-secret")) == (401, 200)


def test_key_without_account_is_refused(catalog: make.Catalog) -> None:
    User.objects.filter(uid="SU-777-000-001").update(account=None)
    for path in ("/accounts", "/requests", "/products/PRD-777-777-777/items"):
        assert Caller(KEY).get(path).status == 403
    assert Caller(KEY).get("/sandbox/clock").status == 403


def test_refusal_does_not_reveal_the_object(catalog: make.Catalog) -> None:
    for path in (f"/products/{catalog.product.pk}", "/products/PRD-000-000-000", "/nothing"):
        refused(Caller("SU-777-000-001:another-secret").get(path), 401, UNAUTHORIZED)


def test_inactive_user_is_signed_out(catalog: make.Catalog) -> None:
    client, user = Client(), staff(catalog.vendor_user)
    client.force_login(user)
    link = sign_in.link(user)
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    assert Client().get(link).status_code == 403
