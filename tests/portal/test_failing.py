"""The pages of what went wrong: in the frame where there is one, and without a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError, connection
from django.test import Client

from portal.home import page
from tests import make
from tests.signed_in import signed_in, world  # noqa: F401  (fixture)

pytestmark = pytest.mark.django_db


@contextmanager
def database_away() -> Iterator[None]:
    def fail(*args: Any) -> None:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def vendor(world: make.World) -> Client:
    client = signed_in(world.vendor_user)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("path", ["/", "/products/", "/nowhere/", "/password/", "/home/live/"])
def test_a_page_without_a_database_is_a_page(
    path: str, vendor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with database_away():
        answer = vendor.get(path)
    assert answer.status_code == 503
    assert "The database cannot be reached." in answer.content.decode()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "OperationalError" not in answer.content.decode()


def test_an_api_without_a_database_is_json(vendor: Client) -> None:
    key = {"Authorization": "ApiKey SU-100-000-001:secret-of-the-tests"}
    with database_away():
        for path in ("/public/v1/requests", "/public/v1/nowhere", "/sandbox/clock"):
            answer = vendor.get(path, headers=key)
            assert answer.status_code == 503
            assert answer.json()["error_code"] == "SYS_503"


def test_an_address_that_leads_nowhere(vendor: Client) -> None:
    signed = vendor.get("/nowhere/")
    assert signed.status_code == 404
    assert (
        "may not see" in signed.content.decode() and 'aria-label="Main"' in signed.content.decode()
    )
    stranger = Client().get("/nowhere/")
    assert stranger.status_code == 404
    assert "There is nothing here" in stranger.content.decode()
    assert 'aria-label="Main"' not in stranger.content.decode()
    for path in ("/public/v1/nowhere", "/sandbox/nowhere"):
        assert vendor.get(path).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PermissionDenied(), 403, "You don&#x27;t have permission to do this."),
        (SuspiciousOperation(), 400, "The request is malformed."),
        (RuntimeError("secret inside"), 500, "The sandbox failed in an unexpected way."),
    ],
)
def test_a_view_that_fails_is_a_page_that_tells_no_insides(
    error: Exception, status: int, said: str, vendor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(account: Any) -> None:
        raise error

    monkeypatch.setattr(page, "whole", fail)
    answer = vendor.get("/")
    assert answer.status_code == status
    assert said in answer.content.decode()
    assert "secret inside" not in answer.content.decode()
