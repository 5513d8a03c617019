"""Faults of calls of the API: which calls they change, and how that is recorded."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from sandbox.clock import moves
from sandbox.faults import armed
from sandbox.models import ApiCall, Fault, TimelineEntry
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.call_storage import OBJECT_ID
from tests import make
from tests.api import Caller, caller
from tests.background import concurrently
from tests.make import Catalog
from tests.sandbox.faults.conftest import Arm

pytestmark = pytest.mark.django_db(transaction=True)

APPROVE = "/requests/PR-1111-2222-3333-001/approve"


def statuses(client: Caller, count: int, path: str = "/requests") -> list[int]:
    return [client.get(path).status for _ in range(count)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (APPROVE, "/requests/{id}/approve"),
        ("/requests", "/requests"),
        ("/products/PRD-1-22/items/PRD-1-22-0001", "/products/{id}/items/{id}"),
    ],
)
def test_ids_in_a_path_are_found(path: str, expected: str) -> None:
    assert OBJECT_ID.sub("{id}", path) == expected


def counts(client: Caller, fault: dict[str, Any]) -> tuple[int, int]:
    shown = client.get(f"/sandbox/faults/{fault['id']}").json
    return shown["asked"], shown["fired"]


def test_abort_responds_in_place_of_the_api(
    client: Caller, catalog: Catalog, arm: Arm, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/notifications/webhooks/{make.webhook(catalog).pk}"
    fault = arm("abort", {"status": 429, "retry_after": 7}, path="/notifications/webhooks/*")
    response = client.delete(path)
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert response.json["error_code"] == "SYS_429" and fault["name"] in response.json["errors"][0]
    assert client.get("/notifications/webhooks").status == 200
    assert counts(client, fault) == (1, 1)
    client.delete("/sandbox/faults")
    # It was not done.
    assert client.get(path).status == 200
    # It is no error of the sandbox.
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        ("<h1>Bad gateway</h1>", "<h1>Bad gateway</h1>", "text/plain; charset=utf-8"),
        ({"errors": []}, '{"errors": []}', "application/json"),
        ([1], "[1]", "application/json"),
        ("", "", "text/plain; charset=utf-8"),
    ],
)
def test_body_of_an_abort(
    client: Caller, arm: Arm, body: Any, content: str, content_type: str
) -> None:
    arm("abort", {"body": body, "status": 502}, side="api")
    response = client.client.get(
        "/public/v1/requests", headers={"authorization": f"ApiKey {client.key}"}
    )
    assert (response.status_code, response.content.decode()) == (502, content)
    assert response.headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("kind", "parameters", "more", "expected"),
    [
        ("fail_first", {"n": 2}, {}, [503, 503, 200, 200]),
        ("fail_first", {"n": 1, "status": 500}, {"after": 1}, [200, 500, 200, 200]),
        ("succeed_first", {"n": 2}, {}, [200, 200, 503, 503]),
        ("succeed_first", {"n": 1}, {"times": 1}, [200, 503, 200, 200]),
        ("abort", {}, {"times": 2}, [503, 503, 200, 200]),
        ("abort", {}, {"nth": [2, 4]}, [200, 503, 200, 503]),
        ("abort", {}, {"after": 3}, [200, 200, 200, 503]),
        ("abort", {}, {"probability": 0}, [200, 200, 200, 200]),
        ("drop", {}, {"nth": [3]}, [200, 200, 504, 200]),
    ],
)
def test_which_calls_fail(
    client: Caller, arm: Arm, kind: str, parameters: Any, more: Any, expected: list[int]
) -> None:
    arm(kind, parameters, side="api", **more)
    assert statuses(client, 4) == expected


def test_outage_is_in_platform_time(client: Caller, arm: Arm) -> None:
    arm("outage", {"after": "1h", "for": "30m"}, side="api")
    seen = []
    for minutes in (0, 61, 20, 10):
        moves.advance(timedelta(minutes=minutes))
        seen += statuses(client, 1)
    assert seen == [200, 503, 503, 200]


def test_same_seed_fires_for_the_same_ordinals_whatever_the_ids(
    client: Caller, catalog: Catalog, arm: Arm
) -> None:
    paths = [f"/requests/PR-1111-2222-3333-{n:03}" for n in range(1, 21)]

    def draw(order: list[str], **more: Any) -> list[int]:
        arm("abort", name="drawn", side="api", probability=0.5, **more)
        seen = [client.get(path).status for path in order]
        client.delete("/sandbox/faults")
        return seen

    first = draw(paths)
    assert {404, 503} == set(first)
    assert draw(paths[::-1]) == first
    assert draw(paths, seed=2) != first
    # The calls of another path have ordinals of their own.
    mixed = draw([path for each in paths for path in (each, "/products")])
    assert mixed[::2] == first and mixed[1::2] != first


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"method": "POST"}, [200, 503, 200]),
        ({"path": "/requests"}, [503, 404, 200]),
        ({"path": "/requests/*/approve"}, [200, 503, 200]),
        ({"path": "/requests/*/approve", "method": "GET"}, [200, 404, 200]),
        ({"account": "PA-111-111"}, [200, 404, 503]),
        ({"account": "VA-111-111"}, [503, 503, 200]),
    ],
)
def test_scope(
    client: Caller, catalog: Catalog, arm: Arm, scope: dict[str, str], expected: list[int]
) -> None:
    provider = caller(catalog.provider)
    fault = arm("abort", **scope)
    seen = [
        client.get("/requests").status,
        client.post(APPROVE, {}).status,
        provider.get("/products").status,
    ]
    assert seen == expected
    assert counts(client, fault) == (expected.count(503), expected.count(503))


def test_only_calls_of_handlers_have_faults(client: Caller, arm: Arm) -> None:
    fault = arm("abort", side="api")
    assert client.get("/requests", **{"X-Sandbox-Actor": "Test"}).status == 200
    assert Caller(None).get("/requests").status == 401
    assert client.get("/sandbox/clock").status == 200
    assert counts(client, fault) == (0, 0)
    # An invalid key is a handler's mistake, and no reason to serve the call.
    assert Caller("SU-100-000-009:secret-of-nobody").get("/requests").status == 503


def test_expired_fault_is_not_armed(client: Caller, arm: Arm) -> None:
    fault = arm("abort", side="api", ttl=60)
    assert statuses(client, 1) == [503]
    Fault.objects.update(expires=1.0)
    assert statuses(client, 2) == [200, 200]
    shown = client.get(f"/sandbox/faults/{fault['id']}").json
    assert (shown["is_armed"], shown["expires_in"], shown["fired"]) == (False, 0, 1)
    assert armed.on("api") == ()


def test_only_one_final_fault_fires_for_a_call(client: Caller, arm: Arm) -> None:
    first = arm("abort", {"status": 500}, side="api", times=1)
    second = arm("abort", {"status": 502}, side="api", times=1)
    assert statuses(client, 3) == [500, 502, 200]
    assert (counts(client, first), counts(client, second)) == ((1, 1), (1, 1))
    shown = client.get(f"/sandbox/faults/{first['id']}").json
    assert shown["is_armed"] is False


def test_fired_fault_is_stored_with_the_call_and_in_the_timeline(client: Caller, arm: Arm) -> None:
    fault = arm("abort", name="down", side="api", nth=[2])
    client.get("/requests")
    api_calls.flush()
    cursor = timeline.now()
    client.post(APPROVE, {})
    marks = [{"name": "down", "kind": "abort"}]
    calls = client.get("/sandbox/api-calls").json["calls"]
    assert [call["faults"] for call in calls] == [[], marks]
    assert [call["status"] for call in calls] == [200, 503]
    # It is the account's call, although no view has authenticated it.
    assert calls[0]["account"] and calls[0]["account"] == calls[1]["account"]
    assert calls[0]["key"] and calls[0]["key"] == calls[1]["key"]
    assert ApiCall.objects.exclude(faults=[]).get().faults == marks
    entries = client.get(f"/sandbox/timeline?since={cursor}").json["entries"]
    assert [entry["kind"] for entry in entries] == ["fault", "api_call"]
    assert entries[0]["object"] == "PR-1111-2222-3333-001"
    assert entries[0]["data"] == {
        "id": fault["id"],
        "name": "down",
        "kind": "abort",
        "side": "api",
        "fired": 1,
        "method": "POST",
        "path": f"/public/v1{APPROVE}",
        "account": calls[0]["account"],
    }


def test_concurrent_calls_are_counted_once_each(client: Caller, arm: Arm) -> None:
    fault = arm("abort", side="api", times=5, probability=1)
    seen = concurrently(*[lambda: statuses(Caller(client.key), 5)] * 4)
    assert sorted(chain(*seen)) == [200] * 15 + [503] * 5
    assert counts(client, fault) == (5, 5)
    assert TimelineEntry.objects.filter(kind="fault").count() == 5


def test_nothing_armed_takes_no_statement(
    client: Caller, arm: Arm, django_assert_num_queries: Any
) -> None:
    client.get("/requests")
    with django_assert_num_queries(0):
        assert armed.on("api") == ()
