"""The layout of the pages: sign-in check, the acting account, redirects, headers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from requests_queue.catalog.models import Account, User
from tests import html, make
from tests.make import Catalog
from tests.signed_in import root, signed_in, vendor

__all__ = ["root", "vendor"]

pytestmark = pytest.mark.django_db

PAGES = (
    "/", "/home/live/", "/webhooks/", "/deliveries/", "/queues/", "/queues/fulfillment/",
    "/queues/fulfillment/PR-1/", "/queues/fulfillment/new/", "/products/", "/password/",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_page_redirects_to_the_sign_in_page_and_back(client: Client, path: str) -> None:
    response = client.get(f"{path}?a=1")
    assert response.status_code == 303
    assert response["Location"].startswith("/sign-in/?next=%2F")
    assert client.post("/acting/").status_code == 303


def test_htmx_request_without_a_session_reloads_the_page(client: Client) -> None:
    response = client.get("/home/live/", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Refresh"], response.content) == (403, "true", b"")


@pytest.mark.parametrize("path", PAGES[:-1])
def test_user_without_an_account_sees_an_explanation(path: str, catalog: Catalog) -> None:
    user = User.objects.create(username="lost", uid="UR-300-000-001")
    assert html.get(signed_in(user), path, 403).by_role("heading", "Your user has no account")


def test_service_user_sees_no_page(catalog: Catalog) -> None:
    catalog.vendor_user.is_service = True
    catalog.vendor_user.save()
    assert signed_in(catalog.vendor_user).get("/").status_code in (303, 403)


def test_administrator_acts_as_one_account_at_a_time(root: Client, catalog: Catalog) -> None:
    # As the API creates one: the oldest vendor stays the default.
    Account.objects.create(
        id="VA-000-000", name="New", type="vendor", created=make.AT + timedelta(days=1)
    )
    assert html.get(root, "/").one(".account-menu summary").text == f"vendor {catalog.vendor.name}"
    choice = {"account": catalog.provider.pk, "next": "/queues/"}
    assert root.post("/acting/", choice)["Location"] == "/queues/"
    summary = html.get(root, "/queues/").one(".account-menu summary")
    assert summary.text == f"distributor {catalog.provider.name}"


def test_user_of_an_account_acts_as_no_other(vendor: Client, catalog: Catalog) -> None:
    assert vendor.post("/acting/", {"account": catalog.provider.pk}).status_code == 404
    page = html.get(vendor, "/queues/")
    assert not page.all("button[name=account]")
    assert page.one(".account-menu summary").text == f"vendor {catalog.vendor.name}"


def test_deleted_account_is_replaced_by_another(root: Client, catalog: Catalog) -> None:
    other = make.catalog("2").provider
    root.post("/acting/", {"account": other.pk})
    other.delete()
    assert catalog.vendor.name in html.get(root, "/queues/").one(".account-menu summary")


@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com", "/\\example.com", "javascript:alert(1)"]
)
def test_redirects_stay_on_this_server(root: Client, catalog: Catalog, elsewhere: str) -> None:
    response = root.post("/acting/", {"account": catalog.provider.pk, "next": elsewhere})
    assert response["Location"] == "/"


def test_page_has_security_headers(vendor: Client) -> None:
    response = vendor.get("/queues/")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/queues/%00/", "/queues/?q=%00", "/forms/PR-1?code=%00"])
def test_nul_in_an_address_is_an_error_page(vendor: Client, path: str) -> None:
    assert "NUL" in html.get(vendor, path, 400).by_role("heading")


def test_messages_have_a_cookie_of_this_sandbox(catalog: Catalog, settings: Any) -> None:
    client = signed_in(catalog.vendor_user)
    client.post(f"/webhooks/{make.webhook(catalog).pk}/do/trigger/")
    assert client.cookies.keys() >= {
        settings.SESSION_COOKIE_NAME,
        settings.SIM_MESSAGES_COOKIE_NAME,
    }
    assert not client.cookies.keys() & {"sessionid", "csrftoken", "messages"}
