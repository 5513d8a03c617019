"""What the operations of the sandbox's API refuse: bodies and queries."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.clock import moves
from sandbox.models import Fault, Hold, Lease, TimelineEntry
from tests.api import Caller

pytestmark = pytest.mark.django_db

NAMES = ["", "now", "seed", "A", "-a", ".a", "a/b", "ä", "a" * 65, "a\n", "..", 7, None, True]
PATIENCES = [-1, 601, "soon", True, []]
BODIES: dict[str, list[tuple[Any, str]]] = {
    "clock/advance": [
        ({}, "by"),
        ({"by": 5}, "by"),
        ({"by": "soon"}, "by"),
        ({"by": "P1M"}, "by"),
        ({"by": "11y"}, "by"),
        ({"by": "1s", "patience": 601}, "patience"),
        ({"by": "1s", "patience": -1}, "patience"),
        ({"by": "1s", "patience": "11m"}, "patience"),
        ({"by": "1s", "patience": True}, "patience"),
        ({"by": "1s", "settle": -1}, "settle"),
        ({"by": "1s", "settle": 60001}, "settle"),
        ({"by": "1s", "settle": "fast"}, "settle"),
    ],
    "clock/next": [
        ({"patience": []}, "patience"),
    ],
    "clock/run-until-idle": [
        ({"max": 5}, "max"),
        ({"max": "-1d"}, "max"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": "many"}, "max_steps"),
    ],
    "holds": [
        ({"ttl": 0}, "ttl"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": 3601}, "ttl"),
        ({"ttl": "2h"}, "ttl"),
        ({"ttl": "soon"}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"ttl": []}, "ttl"),
        ({"note": 5}, "note"),
        ({"note": "x" * 201}, "note"),
    ],
    "lease": [
        ({"ttl": 0}, "ttl"),
        ({"ttl": 3601}, "ttl"),
        ({"ttl": "soon"}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"note": 5}, "note"),
        ({"note": "x" * 201}, "note"),
        ({"wait": -1}, "wait"),
        ({"wait": 601}, "wait"),
        ({"wait": []}, "wait"),
    ],
    "settle": [
        ({"ms": 5}, "url"),
        ({"url": "", "ms": 5}, "url"),
        ({"url": 5, "ms": 5}, "url"),
        ({"url": "http://x/"}, "ms"),
        ({"url": "http://x/", "ms": -1}, "ms"),
        ({"url": "http://x/", "ms": 60001}, "ms"),
        ({"url": "http://x/", "ms": "5"}, "ms"),
        ({"url": "http://x/", "ms": True}, "ms"),
    ],
    "wait": [
        ({}, "until"),
        ({"until": {"x": 1}}, "until"),
        ({"until": {"idle": 1}}, "until.idle"),
        ({"until": {"called": {"webhook": "WH-1"}}}, "until.called.webhook"),
        ({"until": {"delivered": {"object": "PR-1"}}}, "until.delivered.object"),
        ({"until": {"status": {"object": "PR-1", "is": "failed"}}}, "until.status.object"),
        ({"until": {"out_of_order": "WH-1"}}, "until.out_of_order"),
        ({"until": {"idle": True}, "x": 1}, "x"),
        ({"until": {"idle": True}, "since": "x"}, "since"),
        ({"until": {"idle": True}, "since": 7}, "since"),
        ({"until": {"idle": True}, "timeout": -1}, "timeout"),
        ({"until": {"idle": True}, "timeout": 601}, "timeout"),
        ({"until": {"idle": True}, "timeout": "soon"}, "timeout"),
        ({"until": {"idle": True}, "timeout": True}, "timeout"),
        ({"until": {"idle": True}, "skip": "yes"}, "skip"),
        ({"until": {"idle": True}, "within": "x"}, "within"),
        ({"until": {"idle": True}, "within": "0s"}, "within"),
        ({"until": {"idle": True}, "within": 5}, "within"),
    ],
    "faults": [
        ({}, "kind"),
        ({"kind": 5}, "kind"),
        ({"kind": "lag"}, "kind"),
        ({"kind": "abort"}, "side"),
        ({"kind": "abort", "side": "both"}, "side"),
        ({"kind": "abort", "side": "delivery", "path": "/requests"}, "side"),
        ({"kind": "abort", "webhook": "WH-1", "path": "/requests"}, "webhook"),
        ({"kind": "abort", "webhook": "WH-000-000"}, "webhook"),
        ({"kind": "abort", "webhook": 5}, "webhook"),
        ({"kind": "abort", "account": "VA-0"}, "account"),
        ({"kind": "abort", "method": "get"}, "method"),
        ({"kind": "abort", "path": "requests"}, "path"),
        ({"kind": "abort", "path": ""}, "path"),
        ({"kind": "abort", "side": "api", "name": ""}, "name"),
        ({"kind": "abort", "side": "api", "probability": 1.5}, "probability"),
        ({"kind": "abort", "side": "api", "probability": "1"}, "probability"),
        ({"kind": "abort", "side": "api", "times": 0}, "times"),
        ({"kind": "abort", "side": "api", "times": True}, "times"),
        ({"kind": "abort", "side": "api", "times": None}, "times"),
        ({"kind": "abort", "side": "api", "nth": []}, "nth"),
        ({"kind": "abort", "side": "api", "nth": [0]}, "nth"),
        ({"kind": "abort", "side": "api", "nth": 1}, "nth"),
        ({"kind": "abort", "side": "api", "nth": [1], "probability": 0.5}, "nth"),
        ({"kind": "abort", "side": "api", "nth": [1], "after": 2}, "nth"),
        ({"kind": "abort", "side": "api", "ttl": 0}, "ttl"),
        ({"kind": "abort", "side": "api", "seed": -1}, "seed"),
        ({"kind": "abort", "side": "api", "seed": "1"}, "seed"),
        ({"kind": "abort", "side": "api", "probabilty": 1}, "probabilty"),
        ({"kind": "abort", "side": "api", "parameters": []}, "parameters"),
        ({"kind": "abort", "side": "api", "parameters": {"status": 200}}, "parameters.status"),
        ({"kind": "abort", "side": "api", "parameters": {"status": "503"}}, "parameters.status"),
        ({"kind": "abort", "side": "api", "parameters": {"staus": 500}}, "parameters.staus"),
        ({"kind": "latency", "side": "api", "parameters": {"ms": -1}}, "parameters.ms"),
        ({"kind": "outage", "side": "api", "parameters": {"for": "soon"}}, "parameters.for"),
    ],
    "snapshots": [({"name": name, "patience": 0}, "name") for name in NAMES],
    "snapshots/seed/restore": [({"patience": patience}, "patience") for patience in PATIENCES],
    "reset": [({"patience": patience}, "patience") for patience in PATIENCES],
}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [(path, *row) for path, rows in BODIES.items() for row in rows],
)
def test_invalid_body_is_refused_and_changes_nothing(
    who: Caller, path: str, body: Any, field: str
) -> None:
    before = moves.clock_state()
    response = who.post(f"/sandbox/{path}", body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001"), response
    assert response.json["errors"][0].startswith(f"{field}: ")
    assert response.json["hint"] and response.json["retryable"] is False
    assert not any(m._default_manager.exists() for m in (Fault, Hold, Lease, TimelineEntry))
    assert moves.clock_state()[1:] == before[1:]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *[("wait", body) for body in ("[]", "1", "x", "")],
        *[
            ("clock/advance", f'{{"by": "1s", "patience": {number}}}')
            for number in ("NaN", "Infinity", "1e999")
        ],
        ("reset", '{"patience": NaN}'),
        ("faults", '{"kind": "abort", "side": "api", "probability": NaN}'),
    ],
)
def test_body_must_be_a_json_object(who: Caller, path: str, body: str) -> None:
    assert who.post(f"/sandbox/{path}", body).status == 400


QUERIES = {
    "api-calls": ["limit=0", "limit=1001", "delivery=x", "since=x", "color=red", "webhook="],
    "cursor": ["x=1"],
    "deliveries": [
        "state=x", "state=", "since=x", "limit=0", "limit=201", "x=1", "webhook=", "object=",
        "webhook=WH-1", "object=PR-1", "object=AS-1",
    ],
    "deliveries/1": ["x=1"],
    "timeline": [
        "since=", "since=x", "since=1", "since=1.", "since=1.x", "since=-1.2", "since=1.2.3",
        "since=٣.1", f"since={2**63}.0", "since=1.1&since=1.2", "limit=0", "limit=1001",
        "limit=-1", "limit=x", f"limit={'9' * 5000}", "limit=1.5", "limit=", "kind=", "kind=x",
        "kind=change,", "kind=change,x", "webhook=", "object=", "x=1",
        "wait=", "wait=-1", "wait=601", "wait=x", "wait=nan", "wait=1&wait=2",
    ],
    "webhooks/WH-9/forecast": ["x=1"],
}  # fmt: skip


@pytest.mark.parametrize("path", QUERIES)
def test_invalid_query_is_refused(who: Caller, path: str) -> None:
    for query in QUERIES[path]:
        response = who.get(f"/sandbox/{path}?{query}")
        assert (response.status, response.json["error_code"]) == (400, "VAL_001"), query
        assert response.json["errors"][0].startswith(query.partition("=")[0])


@pytest.mark.parametrize(
    ("method", "path", "body", "nearest"),
    [
        ("post", "faults", {"kind": "latencyy"}, "latency"),
        ("post", "faults", {"kind": "abort", "side": "api", "probabilty": 1}, "probability"),
        ("post", "queue/samples", {"queue": "fulfilment"}, "fulfillment"),
        ("post", "queue/samples", {"queue": "tier_confg"}, "tier_config"),
        ("post", "wait", {"until": {"idel": True}}, "idle"),
        ("get", "timeline?knd=attempt", None, "kind"),
    ],
)
def test_unknown_word_gets_the_nearest_known_one(
    who: Caller, method: str, path: str, body: Any, nearest: str
) -> None:
    arguments = [] if body is None else [body]
    response = getattr(who, method)(f"/sandbox/{path}", *arguments)
    assert response.status == 400
    assert response.json["errors"][0].endswith(f"Did you mean {nearest}?"), response.json


def test_errors_beside_the_views_have_advice_too(who: Caller) -> None:
    """Those of unknown paths and of methods; errors of Connect's API have none."""
    for path, status in (("/sandbox/nothing", 404), ("/sandbox/queue/samples", 405)):
        response = who.get(path)
        assert response.status == status
        assert set(response.json) == {"error_code", "errors", "hint", "retryable"}
    assert set(who.get("/nothing").json) == {"error_code", "errors"}
