"""API keys are valid while they and their service users are active."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.test import Client
from django.utils import timezone

from portal import sign_in
from requests_queue.catalog import key_uses, keys
from requests_queue.catalog.models import Account, ApiToken, User
from tests import make
from tests.api import Caller, refused
from tests.background import Background
from tests.signed_in import staff

pytestmark = pytest.mark.django_db
KEY = "SU-777-000-001:the-secret-of-a-key"
UNAUTHORIZED = "API request is unauthorized."


@pytest.fixture(autouse=True)
def no_uses(db: None) -> None:
    """No use that another test has noted of a key with the same id."""
    key_uses.store()


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


def test_expired_key_is_refused_as_an_unknown_one(catalog: make.Catalog) -> None:
    ApiToken.objects.update(expires=timezone.now() + timedelta(hours=1))
    assert reads(KEY) == 200
    ApiToken.objects.update(expires=timezone.now(), last_used=None)
    expired = Caller(KEY).get("/accounts")
    refused(expired, 401, UNAUTHORIZED)
    unknown = Caller("SU-777-000-002:the-secret-of-a-key").get("/accounts")
    assert (expired.status, expired.json) == (unknown.status, unknown.json)
    assert ApiToken.objects.get().last_used is None


def test_last_use_is_stored_without_delaying_a_request(
    catalog: make.Catalog, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert keys.owner(f"{KEY[:-1]}x") is None
    key_uses.store()
    assert ApiToken.objects.get().last_used is None
    before = timezone.now()
    with django_assert_num_queries(1):
        assert keys.owner(KEY) is not None
    assert ApiToken.objects.get().last_used is None
    key_uses.store()
    first = ApiToken.objects.get().last_used
    assert first is not None and before <= first <= timezone.now()
    with django_assert_num_queries(0):
        key_uses.store()
    keys.owner(KEY)
    key_uses.store()
    assert ApiToken.objects.get().last_used > first


def test_later_use_that_another_process_stored_remains(catalog: make.Catalog) -> None:
    later = timezone.now() + timedelta(minutes=1)
    keys.owner(KEY)
    ApiToken.objects.update(last_used=later)
    key_uses.store()
    assert ApiToken.objects.get().last_used == later


@pytest.mark.django_db(transaction=True)
def test_request_succeeds_while_another_transaction_holds_the_key(catalog: make.Catalog) -> None:
    """On SQLite the whole file is locked, on PostgreSQL the row."""
    with transaction.atomic():
        ApiToken.objects.select_for_update().update(name="Locked")
        assert Background(lambda: keys.owner(KEY)).result().uid == "SU-777-000-001"
    assert ApiToken.objects.get().last_used is None
    Background(key_uses.store).result()
    assert ApiToken.objects.get().last_used is not None


@pytest.mark.parametrize("error", [OperationalError("database is locked"), ValueError("defect")])
@pytest.mark.django_db(transaction=True)
def test_use_that_cannot_be_stored_is_kept(
    catalog: make.Catalog,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def unavailable() -> None:
        raise error

    keys.owner(KEY)
    first = timezone.now()
    with monkeypatch.context() as patch:
        patch.setattr(transaction, "atomic", unavailable)
        key_uses.store()
    assert "last use of API keys is not stored yet" in caplog.text
    assert ApiToken.objects.get().last_used is None
    key_uses.store()
    assert ApiToken.objects.get().last_used < first


@pytest.mark.django_db(transaction=True)
def test_web_server_stores_uses_from_time_to_time_and_at_its_end(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def store() -> None:
        stores()
        stored.release()

    stores, stored = key_uses.store, threading.Semaphore(0)
    monkeypatch.setattr(key_uses, "store", store)

    async def serve(period: float) -> None:
        monkeypatch.setattr(key_uses, "PERIOD", period)
        async with key_uses.lifespan():
            if period < 1:
                assert await asyncio.to_thread(stored.acquire, timeout=30)

    for period in (0.001, 3600):
        ApiToken.objects.update(last_used=None)
        keys.owner(KEY)
        asyncio.run(serve(period))
        assert ApiToken.objects.get().last_used is not None


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("apikey", *arguments, stdout=out)
    return out.getvalue()


def test_command_creates_lists_and_revokes(catalog: make.Catalog) -> None:
    key = (
        command(catalog.vendor.pk, "--name", "Deploy", "--description", "CI", "--expires", "90d")
        .strip()
        .removeprefix("ApiKey ")
    )
    uid, secret = key.split(":")
    assert reads(key) == 200
    token = ApiToken.objects.get(user__uid=uid)
    assert (token.name, token.description) == ("Deploy", "CI")
    assert token.expires and timedelta(89) < token.expires - timezone.now() < timedelta(91)
    listed = command("--list")
    assert uid in listed and secret not in listed and "expires never" in listed
    assert command(catalog.provider.pk, "--list") == ""
    assert command("--revoke", uid) == f"Revoked {uid}.\n"
    assert reads(key) == 401 and f"{uid}  {catalog.vendor.pk}  revoked" in command("--list")
    with pytest.raises(CommandError, match=uid):
        command("--revoke", uid)


def test_command_gives_a_key_modules_and_lists_them(catalog: make.Catalog) -> None:
    chosen = command(catalog.vendor.pk, "--modules", "Usage", "--modules", "Account")
    key = chosen.strip().removeprefix("ApiKey ")
    assert (reads(key), Caller(key).get("/requests").status) == (200, 403)
    lines = command("--list").splitlines()
    assert [line.partition("  modules ")[2].partition("  ")[0] for line in lines] == [
        "all", "Account, Usage",
    ]  # fmt: skip
    [_, row] = json.loads(command("--list", "--json"))
    assert row["modules"] == ["Account", "Usage"] and row["expires"] is None
    assert row["id"] == key.partition(":")[0] and key.partition(":")[2] not in str(row)
    assert json.loads(command("--revoke", row["id"], "--json")) == {"revoked": row["id"]}
    created = json.loads(command(catalog.vendor.pk, "--json"))
    assert reads(created["key"].removeprefix("ApiKey ")) == 200


@pytest.mark.parametrize(
    "arguments",
    [(), ("VA-777-777", "--expires", "soon"), ("VA-777-777", "--expires", "2020-01-01"),
     ("VA-777-777", "--name", "x" * 101), ("VA-777-777", "--expires", "99999999d"),
     ("VA-777-777", "--modules", "Nonsense"), ("VA-777-777", "--modules", "")],
)  # fmt: skip
def test_command_refuses_in_one_line(catalog: make.Catalog, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as raised:
        command(*arguments)
    assert "\n" not in str(raised.value)
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(
    "end",
    [lambda user: user.update(is_active=False), lambda user: user.delete(),
     lambda user: Account.objects.filter(users__in=user).delete()],
    ids=["inactive user", "deleted user", "deleted account"],
)  # fmt: skip
def test_key_ends_with_its_user(end: Callable[[Any], Any]) -> None:
    lonely = Account.objects.create(id="VA-909-909", name="Gone", type="vendor", created=make.AT)
    keys.store(lonely, KEY, "Gone")
    end(User.objects.filter(uid="SU-777-000-001"))
    refused(Caller(KEY).get("/accounts"), 401, UNAUTHORIZED)


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
