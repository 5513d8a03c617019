"""Who is let in: a key counts while it and its service user are active."""

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
def world() -> make.World:
    made = make.world("7")
    keys.store(made.vendor, KEY, "Extension")
    return made


def reads(key: str) -> int:
    return Caller(key).get("/accounts").status


def test_a_key_is_its_accounts(world: make.World) -> None:
    other = make.world("8")
    assert [row["id"] for row in Caller(KEY).get("/accounts").json] == [world.vendor.pk]
    assert Caller(KEY).get(f"/accounts/{other.vendor.pk}").status == 404


def test_a_revoked_key_opens_nothing(world: make.World) -> None:
    assert reads(KEY) == 200
    ApiToken.objects.update(active=False)
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)
    keys.store(world.vendor, KEY, "Extension")
    assert reads(KEY) == 200


def test_an_inactive_users_key_opens_nothing(world: make.World) -> None:
    User.objects.filter(uid="SU-777-000-001").update(is_active=False)
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)


def test_a_deleted_users_key_opens_nothing(world: make.World) -> None:
    User.objects.filter(uid="SU-777-000-001").delete()
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)


def test_a_deleted_accounts_key_opens_nothing() -> None:
    lonely = Account.objects.create(id="VA-909-909", name="Gone", type="vendor", created=make.AT)
    keys.store(lonely, "SU-909-000-001:secret-of-nobody", "Gone")
    lonely.delete()
    assert reads("SU-909-000-001:secret-of-nobody") == 401


@pytest.mark.parametrize(
    "key",
    ["SU-777-000-001:another-secret", "SU-777-000-002:the-secret-of-a-key",
     "UR-777-777-001:the-secret-of-a-key", "SU-777-000-001:", "SU-777-000-001", "", "x:y"],
)  # fmt: skip
def test_another_key_opens_nothing(world: make.World, key: str) -> None:
    refused(Caller(key or None).get("/accounts"), 401, UNAUTHORIZED)


def test_a_new_secret_makes_the_old_one_void(world: make.World) -> None:
    keys.store(world.vendor, "SU-777-000-001:a-newer-secret", "Extension")
    assert (reads(KEY), reads("SU-777-000-001:a-newer-secret")) == (401, 200)


def test_a_key_without_an_account_opens_nothing(world: make.World) -> None:
    User.objects.filter(uid="SU-777-000-001").update(account=None)
    for path in ("/accounts", "/requests", "/products/PRD-777-777-777/items"):
        assert Caller(KEY).get(path).status == 403
    assert Caller(KEY).get("/sandbox/clock").status == 403


def test_the_refusal_says_nothing_of_what_was_asked_for(world: make.World) -> None:
    for path in (f"/products/{world.product.pk}", "/products/PRD-000-000-000", "/nothing"):
        refused(Caller("SU-777-000-001:another-secret").get(path), 401, UNAUTHORIZED)


def test_who_is_inactive_leaves_the_pages(world: make.World) -> None:
    client, user = Client(), staff(world.vendor_user)
    client.force_login(user)
    link = sign_in.link(user)
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    assert Client().get(link).status_code == 403
