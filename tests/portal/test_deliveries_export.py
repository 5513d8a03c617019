"""Export of the log as JSON lines and HAR: what it has, and no secrets."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from django.test import Client

from portal.deliveries import export
from requests_queue.redaction import MASK
from tests import make
from tests.portal.delivery_rows import CLAIMS, attempt, delivery
from tests.signed_in import distributor, vendor
from webhooks.models import Delivery, Webhook

__all__ = ["distributor", "vendor"]

pytestmark = pytest.mark.django_db
SECRET, HEADER, OLD_HEADER = "canary-jwt-secret-of-32-bytes-or-more", "canary-header", "canary-old"
FORMATS = ("jsonl", "har")


@pytest.fixture
def row(hook: Webhook) -> Delivery:
    """A delivery whose handler echoes all secrets that it gets."""
    hook.jwt_secret, hook.headers = SECRET, {"X-Api-Key": HEADER, "Accept": "text/html"}
    hook.save()
    token = jwt.encode(CLAIMS, SECRET)
    echo = f"{SECRET} {HEADER} {OLD_HEADER} Bearer {token}"
    row = delivery(hook, "PR-1111-1111-1111-001")
    attempt(
        row,
        "failure",
        request_headers={"X-Api-Key": HEADER, "X-Old": OLD_HEADER, "Accept": "*/*"},
        response_body=json.dumps({"echo": echo}).encode(),
        error=f"refused {HEADER}",
        response_headers=[["Content-Type", "application/json"], ["Set-Cookie", "canary-cookie"]],
        url=f"http://127.0.0.1:9/?key={HEADER}&b=%20",
    )
    attempt(row, "failure", status_code=None, response_body=b"", error="no response")
    attempt(row, response_body=b"\xff\x00" + SECRET.encode())
    return row


def read(client: Client, name: str, query: str = "") -> str:
    """Return an export."""
    response: Any = client.get(f"/deliveries/export/{name}/{query}")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    return b"".join(response.streaming_content).decode()


def har(client: Client, query: str = "") -> Any:
    """Return the archive's log."""
    return json.loads(read(client, "har", query))["log"]


@pytest.mark.parametrize("name", FORMATS)
def test_export_has_no_secrets(vendor: Client, row: Delivery, name: str) -> None:
    text = read(vendor, name)
    assert "canary" not in text
    assert jwt.encode(CLAIMS, SECRET).rpartition(".")[2] not in text and MASK in text


def test_line_has_the_delivery_with_its_attempts(vendor: Client, row: Delivery) -> None:
    [line] = read(vendor, "jsonl").splitlines()
    data = json.loads(line)
    first, second, third = data["attempts"]
    assert (data["id"], data["state"], data["events"]) == (
        row.pk,
        "delivered",
        [
            {
                "object": "PR-1111-1111-1111-001",
                "from": None,
                "to": "pending",
                "at": "2026-11-01T09:00:00.000Z",
            }
        ],
    )
    assert first["request"]["headers"] == {"X-Api-Key": MASK, "X-Old": MASK, "Accept": "*/*"}
    assert (first["request"]["claims"], first["response"]["status"]) == (CLAIMS, 500)
    assert (second["response"], second["error"]) == (None, "no response")
    assert third["response"]["body"] == "" and third["response"]["note"]


def test_archive_is_valid(vendor: Client, row: Delivery) -> None:
    """Each object has the fields that HAR 1.2 requires, of the required types."""
    log = har(vendor)
    assert log["version"] == "1.2" and set(log["creator"]) == {"name", "version"}
    assert len(log["entries"]) == 3
    for entry in log["entries"]:
        for name, kind in (
            ("startedDateTime", str),
            ("time", int),
            ("request", dict),
            ("response", dict),
            ("cache", dict),
            ("timings", dict),
        ):
            assert isinstance(entry[name], kind)
        for side, texts in (
            ("request", ("method", "url", "httpVersion")),
            ("response", ("statusText", "httpVersion", "redirectURL")),
        ):
            part = entry[side]
            assert all(isinstance(part[name], str) for name in texts)
            assert part["cookies"] == [] and part["headersSize"] == -1
            assert all(set(header) == {"name", "value"} for header in part["headers"])
            assert isinstance(part["bodySize"], int)
        assert set(entry["request"]["postData"]) == {"mimeType", "text"}
        assert isinstance(entry["response"]["status"], int)
        assert {"size", "mimeType"} <= set(entry["response"]["content"])
        assert set(entry["timings"]) == {"send", "wait", "receive"}
        custom = set(entry) - {
            "startedDateTime",
            "time",
            "request",
            "response",
            "cache",
            "timings",
            "comment",
        }
        assert all(name.startswith("_") for name in custom)
    assert log["entries"][0]["request"]["queryString"] == [
        {"name": "key", "value": MASK},
        {"name": "b", "value": " "},
    ]
    assert har(vendor, "?q=status:418")["entries"] == []


@pytest.mark.parametrize("name", FORMATS)
def test_export_has_what_the_search_matches(
    vendor: Client, distributor: Client, row: Delivery, catalog: make.Catalog, name: str
) -> None:
    attempt(other := delivery(make.webhook(catalog, n=2), state="failed"))

    def ids(client: Client, query: str = "") -> set[int]:
        if name == "har":
            return {entry["_delivery"] for entry in har(client, query)["entries"]}
        return {json.loads(line)["id"] for line in read(client, name, query).splitlines()}

    assert ids(vendor) == {row.pk, other.pk}
    assert ids(vendor, "?q=state:failed") == {other.pk}
    assert ids(vendor, f"?webhook={other.webhook_id}") == {other.pk}
    assert ids(distributor) == ids(distributor, f"?webhook={row.webhook_id}") == set()


def test_wrong_export_is_refused(vendor: Client, row: Delivery) -> None:
    assert vendor.get("/deliveries/export/xml/").status_code == 404
    assert vendor.get("/deliveries/export/har/?q=foo:bar").status_code == 400
    assert Client().get("/deliveries/export/har/").status_code == 303


def test_export_reads_in_batches(
    vendor: Client,
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr(export, "BATCH", 10)
    rows = [delivery(hook) for _ in range(25)]
    for row in rows:
        attempt(row)
    with django_assert_max_num_queries(3 + 3 * 3 + 2):
        lines = read(vendor, "jsonl").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row.pk for row in rows[::-1]]


@pytest.mark.parametrize("name", FORMATS)
def test_export_says_what_was_redacted_and_has_no_key(
    vendor: Client, hook: Webhook, name: str
) -> None:
    row = delivery(hook)
    attempt(row, response_body=b"SU-100-200-300:canary-key", redacted=True)
    attempt(row)
    text = read(vendor, name)
    assert "canary" not in text and f"SU-100-200-300:{MASK}" in text
    if name == "har":
        found = [each["_redacted"] for each in json.loads(text)["log"]["entries"]]
    else:
        found = [each["redacted"] for each in json.loads(text)["attempts"]]
    assert found == [True, False]
