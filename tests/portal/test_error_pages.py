"""Error pages: with the layout where a user is signed in, and without a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError, connection
from django.test import Client

from portal.home import views
from tests import html, make
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db


@contextmanager
def database_unavailable() -> Iterator[None]:
    def fail(*args: Any) -> None:
        raise OperationalError("the database is unavailable")

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def vendor(catalog: make.Catalog) -> Client:
    client = signed_in(catalog.vendor_user)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("path", ["/", "/products/", "/nowhere/", "/password/", "/home/live/"])
def test_page_without_a_database_is_an_error_page(
    path: str, vendor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with database_unavailable():
        response = vendor.get(path)
    assert response.status_code == 503
    assert "The database cannot be reached." in html.parse(response).by_role("heading")
    assert response.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "OperationalError" not in response.content.decode()


def test_api_without_a_database_returns_json(vendor: Client) -> None:
    key = {"Authorization": "ApiKey SU-100-000-001:secret-of-the-tests"}
    with database_unavailable():
        for path in ("/public/v1/requests", "/public/v1/nowhere", "/sandbox/clock"):
            response = vendor.get(path, headers=key)
            assert response.status_code == 503
            assert response.json()["error_code"] == "SYS_503"


def test_unknown_path_is_not_found(vendor: Client) -> None:
    for client, has_layout in ((vendor, True), (Client(), False)):
        page = html.get(client, "/nowhere/", 404)
        assert page.by_role("heading", "Page not found")
        assert bool(page.roles("navigation", "Main")) == has_layout
    for path in ("/public/v1/nowhere", "/sandbox/nowhere"):
        assert vendor.get(path).headers["Content-Type"] == "application/json"


def test_unknown_host_name_names_the_setting(vendor: Client) -> None:
    text = "The host name of the URL is not accepted. Add it to SIM_ALLOWED_HOSTS."
    page = vendor.get("/", headers={"Host": "elsewhere.example"})
    assert page.status_code == 400 and html.parse(page).by_role("heading", text)
    api = vendor.get("/public/v1/requests", headers={"Host": "elsewhere.example"})
    assert (api.status_code, api.json()["errors"]) == (400, [text])


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (PermissionDenied(), 403, "You don't have permission to do this."),
        (SuspiciousOperation(), 400, "The request is malformed."),
        (RuntimeError("secret inside"), 500, "Unexpected error. See the log of the sandbox."),
    ],
)
def test_failing_view_is_an_error_page_without_internals(
    error: Exception, status: int, message: str, vendor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(views, "_context", fail)
    response = vendor.get("/")
    assert response.status_code == status
    assert html.parse(response).by_role("heading", message)
    assert "secret inside" not in response.content.decode()
