"""The page of API keys: what it shows, who sees it, creation and revocation."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from requests_queue.catalog import keys
from requests_queue.catalog.models import ApiToken, AuditEntry
from tests import make
from tests.api import Caller
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db
KEY = "SU-777-000-001:the-secret-of-a-key"


@pytest.fixture
def catalog(catalog: make.Catalog) -> make.Catalog:
    keys.store(catalog.vendor, KEY, "Extension", "For the extension.")
    return catalog


@pytest.fixture
def browser(catalog: make.Catalog) -> Client:
    return signed_in(catalog.vendor_user)


def test_list_shows_prefix_and_dates_only(browser: Client) -> None:
    assert Caller(KEY).get("/accounts").status == 200
    shown = browser.get("/keys/").content.decode()
    assert "SU-777-000-001:…" in shown and "For the extension." in shown
    assert shown.count("<time") >= 2 and 'data-state="active"' in shown
    token = ApiToken.objects.get()
    assert KEY.partition(":")[2] not in shown and token.digest not in shown


def test_new_key_is_shown_once_and_works_until_it_expires(browser: Client) -> None:
    day = f"{timezone.now() + timedelta(days=2):%Y-%m-%d}"
    form = {"name": "Deployment", "description": "", "expires": day, "modules": "all"}
    [key] = re.findall(r"ApiKey (SU-[\d-]+:\w+)", browser.post("/keys/", form).content.decode())
    assert Caller(key).get("/accounts").status == 200
    token = ApiToken.objects.get(user__uid=key.partition(":")[0])
    assert f"{token.expires:%Y-%m-%d %H:%M:%S}" > f"{day} 23:59"
    assert key.partition(":")[2] not in browser.get("/keys/").content.decode()


@pytest.mark.parametrize(
    "form",
    [{}, {"name": " "}, {"name": "x" * 101}, {"name": "x", "expires": "tomorrow"},
     {"name": "x", "expires": "2020-01-01"}, {"name": "x", "expires": "9999-12-31"},
     {"name": "x\0"}, {"name": "x", "expires": "0d"}, {"name": "x", "modules": []},
     {"name": "x", "modules": ["Nonsense"]}, {"name": "x", "modules": ["usage"]},
     {"name": "x", "modules": ["all", "Usage"]}],
)  # fmt: skip
def test_invalid_form_creates_no_key(browser: Client, form: dict[str, Any]) -> None:
    response = browser.post("/keys/", {"modules": "all", **form})
    assert response.status_code == 400 and b'class="error"' in response.content
    assert ApiToken.objects.count() == 1


def test_new_key_has_the_chosen_modules(browser: Client) -> None:
    assert 'value="all" id="id_modules_0" checked' in browser.get("/keys/").content.decode()
    form = {"name": "Reader", "modules": ["Usage", "Account"]}
    [key] = re.findall(r"ApiKey (SU-[\d-]+:\w+)", browser.post("/keys/", form).content.decode())
    assert (Caller(key).get("/accounts").status, Caller(key).get("/requests").status) == (200, 403)
    assert "Account, Usage" in browser.get("/keys/").content.decode()


def test_modules_of_a_key_are_changed(browser: Client) -> None:
    path = "/keys/SU-777-000-001/modules/"
    assert 'value="all" id="id_modules_0" checked' in browser.get(path).content.decode()
    for form in ({}, {"modules": ["Nonsense"]}, {"modules": ["all", "Usage"]}):
        response = browser.post(path, form)
        assert response.status_code == 400 and b'class="error"' in response.content
    assert Caller(KEY).get("/requests").status == 200
    entries = AuditEntry.objects.filter(action="key.edit")
    for _ in range(2):
        assert browser.post(path, {"modules": ["Usage", "Account"]}).status_code == 303
        assert entries.get().fields == ["modules"]
    assert (Caller(KEY).get("/accounts").status, Caller(KEY).get("/requests").status) == (200, 403)
    shown = browser.get(path).content.decode()
    assert 'value="Account" id="id_modules_1" checked' in shown
    assert "Account, Usage" in browser.get("/keys/").content.decode()
    browser.post("/keys/SU-777-000-001/revoke/")
    assert browser.get(path).status_code == 404


def test_revoked_key_stays_in_the_list(browser: Client) -> None:
    assert b"Revoke Extension?" in browser.get("/keys/SU-777-000-001/revoke/").content
    assert Caller(KEY).get("/accounts").status == 200
    for _ in range(2):
        assert browser.post("/keys/SU-777-000-001/revoke/").status_code == 303
    assert Caller(KEY).get("/accounts").status == 401
    assert 'data-state="revoked"' in browser.get("/keys/").content.decode()


def test_keys_of_another_account_are_not_found(catalog: make.Catalog) -> None:
    other = signed_in(catalog.provider_user)
    assert "SU-777-000-001" not in other.get("/keys/").content.decode()
    for method in (other.get, other.post):
        assert method("/keys/SU-777-000-001/revoke/").status_code == 404
        assert method("/keys/SU-777-000-001/modules/").status_code == 404
        assert method("/keys/SU-000-000-000/revoke/").status_code == 404
    assert Caller(KEY).get("/accounts").status == 200
    assert Client().get("/keys/").headers["Location"].startswith("/sign-in/")
    assert Client().post("/keys/", {"name": "x"}).status_code == 303
    assert ApiToken.objects.count() == 1
