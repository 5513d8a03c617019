"""Recording API calls: what is stored of them, and when."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection

from requests_queue import clock
from requests_queue.models import Clock
from requests_queue.operations import QUESTION
from sandbox.clock import settling
from sandbox.models import ApiCall, ApiCallObject
from sandbox.timeline import activity, api_calls, call_storage
from sandbox.timeline.api_calls import Recorder
from sandbox.timeline.call_storage import MAX_BODY, RecordedCall
from tests import make
from tests.api import Caller
from tests.make import Catalog
from tests.sandbox.recorded import call, entries, paths

pytestmark = pytest.mark.django_db(transaction=True)
WEBHOOKS = "/notifications/webhooks"


def stored() -> list[ApiCall]:
    api_calls.flush()
    return list(ApiCall.objects.order_by("pk"))


def one() -> ApiCall:
    [row] = stored()
    return row


# What is stored.


def test_call_has_a_timeline_entry(who: Caller, catalog: Catalog) -> None:
    who.post("/requests/PR-1111-2222-3333-001/approve", {})
    row = one()
    [entry] = entries()
    assert entry.object_id == "PR-1111-2222-3333-001" and entry.data == {
        "id": row.pk,
        "method": "POST",
        "path": "/public/v1/requests/PR-1111-2222-3333-001/approve",
        "query": "",
        "status": 404,
        "error_code": "NFND_000",
        "duration": row.duration,
        "actor": "handler",
        "account": catalog.vendor.pk,
        "key": row.key,
        "link": "",
    }
    assert entry.real_at - row.real_started_at == timedelta(milliseconds=row.duration)


def test_invalid_key_has_no_account_and_stays_secret(who: Caller) -> None:
    key = "SU-100-000-009:never-stored-secret"
    assert Caller(key).get("/requests").status == 401
    assert who.get("/requests").status == 200
    invalid, valid = stored()
    assert (invalid.account_id, invalid.key, invalid.status) == (None, "", 401)
    assert invalid.error_code == "AUTH_001"
    assert [entry.data["status"] for entry in entries()] == [401, 200]
    everything = json.dumps(
        [*map(str, ApiCall.objects.values_list()), *(entry.data for entry in entries())]
    )
    assert "never-stored-secret" not in everything
    assert valid.key and f"{who.key}".partition(":")[2] not in everything


def test_only_calls_of_the_api_with_a_key_are_recorded(who: Caller) -> None:
    Caller(None).get("/requests")
    who.get("/sandbox/clock")
    who.client.get("/public/v10/requests", headers={"authorization": f"ApiKey {who.key}"})
    assert stored() == []
    who.get("/requests")
    assert one().path == "/public/v1/requests"


def test_actor_test_is_stored(who: Caller) -> None:
    who.get("/requests", **{"X-Sandbox-Actor": "test"})
    assert one().actor == ApiCall.TEST


def test_ids_of_path_and_body_are_stored(who: Caller) -> None:
    body = {"asset": {"id": "AS-1-22", "params": [{"id": "a", "value": "PR-1111-22"}]}}
    who.put("/requests/PR-1111-2222-3333-001", body)
    assert one().status == 404
    assert list(ApiCallObject.objects.order_by("pk").values_list("object_id", flat=True)) == [
        "PR-1111-2222-3333-001",
        "AS-1-22",
        "PR-1111-22",
    ]


def test_large_body_is_cut_and_an_error_is_kept(who: Caller) -> None:
    filler = "x" * (2 * MAX_BODY)
    body = {"note": filler}
    who.put("/requests/PR-1111-2222-3333-001", body)
    row = one()
    assert row.status == 404 and row.request_body == json.dumps(body) and not row.is_truncated


def test_secrets_of_webhooks_are_masked(who: Caller, catalog: Catalog) -> None:
    body = {
        "label": "Hook",
        "product_id": catalog.product.pk,
        "object_class": "fulfillment_request",
        "external_url": "http://127.0.0.1:9/",
        "jwt_secret": "never-stored-secret-1",
        "headers": {"X-Token": "never-stored-secret-2", "Accept": "application/json"},
    }
    created = who.post(WEBHOOKS, body)
    assert created.status == 201, created
    who.get(f"{WEBHOOKS}/{created.json['id']}")
    who.get(WEBHOOKS)
    who.post(WEBHOOKS, '{"jwt_secret": "never-stored-secret-3"')
    who.post(WEBHOOKS, {**body, "label": 5 * MAX_BODY * "x"})
    rows = stored()
    assert [row.status for row in rows] == [201, 200, 200, 400, 400]
    texts = [row.request_body + row.response_body for row in rows]
    assert not [text for text in texts if "never-stored" in text]
    sent = json.loads(rows[0].request_body)
    assert set(sent["jwt_secret"]) == {"\N{BULLET}"}
    assert sent["headers"]["Accept"] == "application/json"
    assert "not valid JSON" in rows[3].request_body


def test_many_webhooks_are_masked_before_they_are_cut(who: Caller, catalog: Catalog) -> None:
    for n in range(60):
        make.webhook(catalog, n=n, jwt_secret="never-stored-secret")
    assert len(who.get(f"{WEBHOOKS}?limit=60").json) == 60
    row = one()
    assert "never-stored" not in row.response_body
    assert row.is_truncated and len(row.response_body) == MAX_BODY


def test_signatures_of_tokens_are_masked() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl"
    body = json.dumps({"link": f"http://a/?jwt={token}"}).encode()
    call_storage.store([call(response_body=body, query=f"jwt={token}")])
    row = ApiCall.objects.get()
    assert "c2lnbmF0dXJl" not in row.response_body + row.query
    assert "eyJhIjoxfQ." in row.response_body


def test_large_bodies_are_compressed() -> None:
    body = 100 * b'{"id": "PR-1111-2222-3333-001"}'
    call_storage.store([call(request_body=body, response_body=body)])
    row = ApiCall.objects.get()
    assert row.request_body == row.response_body == body.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT LENGTH(request_body), LENGTH(response_body) FROM sandbox_apicall")
        assert max(cursor.fetchone()) < len(body) / 10


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/octet-stream"])
def test_of_an_upload_only_type_and_size_are_kept(who: Caller, kind: str) -> None:
    sent = b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\n1\r\n--x--\r\n"
    who.client.generic(
        "POST",
        "/public/v1/usage/files/UF-1-11/upload",
        sent,
        content_type=kind,
        headers={"authorization": f"ApiKey {who.key}"},
    )
    assert one().request_body == f"[{kind.partition(';')[0]}, {len(sent)} bytes]"


def test_bodies_with_nul_and_wrong_encoding_are_stored() -> None:
    raw = b'{"a": "\xff\x00"}'
    call_storage.store(
        [call(path="/public/v1/\0", query="\udcff", request_body=raw, user_agent="a\0")]
    )
    row = ApiCall.objects.get()
    assert "\0" not in row.path + row.request_body + row.user_agent
    assert entries()[0].data["path"] == row.path


def test_question_of_the_web_server_is_no_call(who: Caller) -> None:
    headers = {"authorization": f"ApiKey {who.key}"}
    accepted = who.client.post("/public/v1/requests", headers=headers, **{QUESTION: "may be large"})
    assert accepted.status_code == 204 and stored() == []
    refused = who.client.post("/public/v1/requests", headers=headers, **{QUESTION: "too large"})
    assert refused.status_code == 413 and one().status == 413


def test_time_is_platform_time(who: Caller) -> None:
    Clock.objects.update_or_create(pk=1, defaults={"offset": timedelta(days=3)})
    who.get("/requests")
    row = one()
    assert abs(row.real_started_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert abs(row.started_at - row.real_started_at - timedelta(days=3)) < timedelta(seconds=1)
    frozen = clock.now() + timedelta(days=1)
    Clock.objects.update(frozen_at=frozen)
    who.get("/requests")
    *_, row = stored()
    assert row.started_at == frozen and entries()[-1].at == frozen


# The web server's thread.


def test_web_server_s_thread_stores_calls_and_the_rest_at_the_stop(
    who: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    notified = threading.Event()
    real = call_storage.store

    def store(batch: Sequence[RecordedCall]) -> None:
        real(batch)
        notified.set()

    recorder = Recorder(store)
    monkeypatch.setattr(api_calls, "_recorder", recorder)

    async def run() -> None:
        async with api_calls.lifespan():
            recorder.add(call("/0"))
            assert await asyncio.to_thread(notified.wait, 10)
            # Far too long for the next period: only the stop stores it.
            monkeypatch.setattr(api_calls, "PERIOD", 60)
            await asyncio.sleep(0)
            recorder.add(call("/1"))

    asyncio.run(run())
    assert paths() == ["/0", "/1"]


class Stopping(threading.Event):
    """Not set; notes the seconds of each wait, and waits for none."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout
        self.waits.append(timeout)
        return self.is_set()


@pytest.mark.parametrize(
    ("in_flight", "waits"),
    [([0], 1), ([2, 1, 0], 3), ([1] * 9, 5)],
    ids=["none", "ends", "goes on"],
)
def test_calls_are_collected_for_other_processes_while_one_is_in_flight(
    in_flight: list[int], waits: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
    monkeypatch.setattr(activity, "in_flight", partial(next, iter(in_flight)))
    stopping = Stopping()
    api_calls._collect(stopping)
    assert stopping.waits == [api_calls.SHORTEST] * waits
    # They rely on it, and the store takes its time too.
    assert 1.5 * api_calls.SHORTEST < settling.REPORTED
    assert sum(stopping.waits) <= api_calls.PERIOD


def test_calls_of_the_only_process_are_collected_without_looking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activity, "in_flight", lambda: 1)
    stopping = Stopping()
    api_calls._collect(stopping)
    assert stopping.waits == [api_calls.PERIOD]


def test_recorder_is_installed_in_the_sandbox_only() -> None:
    assert django_settings.MIDDLEWARE[0] == "sandbox.timeline.api_calls.record_api_calls"
