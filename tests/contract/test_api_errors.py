"""Errors of the API are JSON in Connect's envelope."""

from __future__ import annotations

import json

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


def test_missing_key_gets_401(nobody: Caller) -> None:
    for path in ("/requests", "/nothing", "/products/PRD-814-505-018"):
        response = nobody.get(path)
        assert (response.status, response.json["error_code"]) == (401, "AUTH_001")


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
