"""Errors of the API are JSON in Connect's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.api import Caller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("OPTIONS", "/requests", 405, "REQ_405"),
        ("PATCH", "/requests/PR-1", 405, "REQ_405"),
        ("DELETE", "/requests/PR-1", 405, "REQ_405"),
        ("GET", "/requests/PR-1", 404, "NFND_000"),
        ("GET", "/nothing", 404, "NFND_000"),
        ("GET", "/requests?%ff", 400, "VAL_001"),
        ("GET", "/requests?eq(", 400, "VAL_001"),
        ("GET", "/requests?status=%00", 400, "VAL_001"),
    ],
)
def test_invalid_request_gets_connects_envelope(
    vendor: Caller, method: str, path: str, status: int, code: str
) -> None:
    response = vendor.call(method, path)
    assert (response.status, response.json["error_code"]) == (status, code)
    assert all(isinstance(message, str) for message in response.json["errors"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/public/v1/requests", 200),
        ("/public/v1/requests?eq(", 400),
        ("/public/v1/requests?status=%00", 400),
        ("/public/v1/requests/PR-1", 404),
        ("/public/v1/nothing", 404),
        ("/public", 404),
    ],
)
def test_every_response_of_the_api_has_connects_version(
    vendor: Caller, settings: Any, path: str, status: int
) -> None:
    settings.SIM_CONNECT_VERSION = "43.1"
    with_key = vendor.client.get(path, headers={"authorization": f"ApiKey {vendor.key}"})
    assert (with_key.status_code, with_key["Connect-Version"]) == (status, "43.1")
    without_key = vendor.client.get(path)
    assert without_key.status_code == (400 if "%00" in path else 401)
    assert without_key["Connect-Version"] == "43.1"


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/nothing", "/?%00", "/portal.css"])
def test_pages_have_no_version_of_connect(client: Client, path: str) -> None:
    assert "Connect-Version" not in client.get(path)


def test_unknown_host_is_refused(client: Client) -> None:
    response = client.get("/public/v1/requests", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert set(json.loads(response.content)) == {"error_code", "errors"}


@pytest.mark.parametrize(
    "body",
    ["{", "[]", '"text"', "<a/>", '{"a": NaN}', "[" * 5000, '{"a": "\\u0000"}', '{"a": [-1e999]}'],
)
def test_body_that_is_not_an_object_is_refused(vendor: Caller, body: str) -> None:
    response = vendor.post("/notifications/webhooks", body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")


@pytest.mark.parametrize("body", ["{}", "[", "[NaN]", "[1e999]", '["\\ud800"]', "7"])
def test_body_that_is_not_a_list_is_refused(distributor: Caller, body: str) -> None:
    response = distributor.post("/usage/records/close-records", body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")


def test_list_that_is_too_large_is_refused(distributor: Caller) -> None:
    response = distributor.post("/usage/records/close-records", "[" + " " * 5_000_000 + "]")
    assert (response.status, response.json["error_code"]) == (413, "REQ_413")
