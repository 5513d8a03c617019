"""Faults of requests to handlers: what a real handler receives, and what the attempt says."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Any

import pytest

from tests import make
from tests.api import Caller
from tests.engines import move_clock, until
from tests.handlers import Handler, ReceivedRequest
from tests.make import Catalog
from tests.sandbox.faults.conftest import Arm
from tests.sandbox.faults.delivering import Deliver, deliver, marks, recorded
from tests.webhooks import validating
from webhooks.delivery import claim, fan_out
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

__all__ = ["deliver"]

pytestmark = pytest.mark.django_db(transaction=True)


def host(served: Handler) -> str:
    return served.url.removeprefix("http://").strip("/")


def all_received(served: Handler, count: int) -> list[ReceivedRequest]:
    """Wait until the handler has read the requests; after a reset, the attempt ends before that."""
    until(lambda: len(served.received) >= count, f"{count} requests are received")
    requests = list(served.received)
    assert len(requests) == count
    return requests


CLOSED = "{host} closed the connection without a response."
LIMIT = 0.3  # seconds until a request times out, where one does
TIMED_OUT = f"Timed out after {LIMIT:g} s."


@pytest.mark.parametrize(
    ("kind", "parameters", "received", "status", "error"),
    [
        ("latency", {"ms": 1}, 1, 200, ""),
        ("timeout", {}, 1, None, TIMED_OUT),
        ("reset_peer", {}, 1, None, CLOSED),
        ("slicer", {"size": 100, "delay": 1}, 1, 200, ""),
        ("abort", {"status": 502}, 0, 502, "Handler returned HTTP 502 (expected 2xx)."),
        ("fail_first", {"n": 1}, 0, 503, "Handler returned HTTP 503 (expected 2xx)."),
        ("outage", {"for": "1h"}, 0, 503, "Handler returned HTTP 503 (expected 2xx)."),
        ("duplicate", {}, 2, 200, ""),
        ("duplicate", {"delay": 20}, 2, 200, ""),
        ("reorder", {"ms": 20}, 1, 200, ""),
        ("drop", {}, 0, None, TIMED_OUT),
        ("stale_token", {}, 1, 200, ""),
        ("clock_skew", {"seconds": -5}, 1, 200, ""),
        ("rotate_secret", {}, 1, 200, ""),
    ],
)
def test_handler_and_attempt(
    served: Handler,
    arm: Arm,
    deliver: Deliver,
    hook: Webhook,
    client: Caller,
    settings: Any,
    kind: str,
    parameters: dict[str, Any],
    received: int,
    status: int | None,
    error: str,
) -> None:
    if error == TIMED_OUT:
        settings.SIM_HTTP_TIMEOUT = LIMIT
    fault = arm(kind, parameters, webhook=hook.pk)
    attempt = deliver()
    requests = all_received(served, received)
    assert attempt.faults == marks(fault)
    assert (attempt.status_code, attempt.error) == (status, error.format(host=host(served)))
    assert attempt.outcome == ("failure" if error else "success")
    # What was or would have been sent is recorded.
    assert attempt.request_body and attempt.claims["webhook_id"] == hook.pk
    assert [request.body.decode() for request in requests] == [attempt.request_body] * received
    if error == TIMED_OUT:
        assert LIMIT * 1000 <= attempt.duration < 10_000
    shown = client.get(f"/sandbox/deliveries/{attempt.delivery_id}").json["attempts"]
    assert shown[0]["faults"] == marks(fault)
    fault = client.get(f"/sandbox/faults/{fault['id']}").json
    assert (fault["asked"], fault["fired"]) == (1, 1)
    entries = client.get("/sandbox/timeline?kind=fault").json["entries"]
    assert [(e["webhook"], e["delivery"], e["attempt"]) for e in entries] == [
        (hook.pk, attempt.delivery_id, 1)
    ]


def test_limited_body_is_cut_in_the_handler(
    served: Handler, arm: Arm, deliver: Deliver, hook: Webhook
) -> None:
    arm("limit_data", {"bytes": 40}, webhook=hook.pk)
    attempt = deliver()
    assert (attempt.status_code, attempt.error) == (None, CLOSED.format(host=host(served)))
    # The reset ends the handler's read, or makes it fail.
    with suppress(queue.Empty):
        served.next(timeout=0.5)
    for request in served.received:
        assert int(request.headers["Content-Length"]) > 40
        assert request.body == attempt.request_body.encode()[:40]


def test_latency_is_part_of_the_attempt_and_of_its_timeout(
    served: Handler, arm: Arm, deliver: Deliver, hook: Webhook, settings: Any
) -> None:
    arm("latency", {"ms": 100, "jitter": 50}, webhook=hook.pk, times=1)
    attempt = deliver()
    assert attempt.outcome == "success" and attempt.duration >= 50
    settings.SIM_HTTP_TIMEOUT = LIMIT
    arm("latency", {"ms": 600_000}, webhook=hook.pk)
    attempt = deliver()
    assert (attempt.error, len(served.received)) == (TIMED_OUT, 1)


@pytest.mark.parametrize("kind", ["timeout", "drop"])
def test_timeout_is_in_platform_time(
    settings: Any, engine: Engine, arm: Arm, hook: Webhook, served: Handler, kind: str
) -> None:
    settings.SIM_HTTP_TIMEOUT = 300
    arm(kind, webhook=hook.pk)
    fan_out.trigger(hook)
    engine.wake()
    until(lambda: engine.in_flight, "the request is in flight")
    if kind == "timeout":
        served.next()
    move_clock(301)
    engine.wake()
    until(lambda: recorded(1), "the attempt has timed out")
    attempt = Attempt.objects.get()
    assert (attempt.error, attempt.duration) == ("Timed out after 300 s.", 300_000)


def test_abort_has_headers_and_body(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    arm("abort", {"status": 429, "retry_after": 5, "body": {"a": 1}}, webhook=hook.pk)
    attempt = deliver()
    assert bytes(attempt.response_body) == b'{"a": 1}'
    assert dict(attempt.response_headers) == {
        "Content-Type": "application/json",
        "Retry-After": "5",
    }
    assert not served.received


def test_duplicates_overlap(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler, settings: Any
) -> None:
    settings.SIM_HTTP_TIMEOUT = 10
    both = threading.Barrier(2)

    def meet(request: ReceivedRequest) -> int:
        both.wait(5)
        return 200 if request.token else 500

    served.respond = meet
    arm("duplicate", webhook=hook.pk)
    assert deliver().outcome == "success"
    first, second = served.received
    assert (first.headers, first.body) == (second.headers, second.body)


def test_first_response_of_a_duplicate_counts(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    statuses = iter([500, 200])
    served.respond = lambda request: next(statuses)
    # On a busy machine, requests of the same moment arrive in any order.
    arm("duplicate", {"delay": 1000}, webhook=hook.pk)
    attempt = deliver()
    assert (attempt.status_code, len(served.received)) == (500, 2)


def test_reordered_request_comes_after_later_ones(
    engine: Engine, arm: Arm, hook: Webhook, served: Handler, catalog: Catalog, settings: Any
) -> None:
    settings.SIM_HTTP_TIMEOUT = 30
    fault = arm("reorder", {"window": 2, "ms": 20_000}, webhook=hook.pk, nth=[1])
    make.order(catalog, times=4)
    until(lambda: recorded(4), "all are delivered")
    attempts = {a.delivery_id: a for a in Attempt.objects.order_by("pk")}
    assert [a.faults for _, a in sorted(attempts.items())] == [marks(fault), [], [], []]
    # In the order in which they were recorded, which is that of their ends.
    assert list(attempts).index(min(attempts)) >= 2
    all_received(served, 4)


def test_other_webhooks_have_no_fault(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler, catalog: Catalog
) -> None:
    arm("abort", webhook=hook.pk)
    second = make.webhook(catalog, served.url, n=2)
    assert deliver(second).faults == []
    assert deliver(hook).status_code == 503
    assert len(served.received) == 1


def test_faults_are_combined_and_a_final_one_ends(
    arm: Arm, deliver: Deliver, hook: Webhook, served: Handler
) -> None:
    armed = [
        arm("latency", {"ms": 20}, side="delivery"),
        arm("rotate_secret", webhook=hook.pk),
        arm("duplicate", side="delivery"),
        arm("latency", {"ms": 30}, webhook=hook.pk),
        arm("reset_peer", webhook=hook.pk),
        arm("abort", webhook=hook.pk),
    ]
    attempt = deliver()
    assert attempt.faults == [mark for fault in armed[:5] for mark in marks(fault)]
    assert attempt.duration >= 50 and all_received(served, 2)
    assert attempt.error == CLOSED.format(host=host(served))


def test_retries_match_too(
    arm: Arm, deliver: Deliver, hook: Webhook, engine: Engine, client: Caller
) -> None:
    fault = arm("fail_first", {"n": 2}, webhook=hook.pk)
    deliver()
    for count in (2, 3):
        move_clock(3600)
        engine.wake()
        until(lambda count=count: recorded(count), "it is tried again")
    attempts = Attempt.objects.order_by("number")
    assert [(a.number, a.status_code) for a in attempts] == [(1, 503), (2, 503), (3, 200)]
    shown = client.get(f"/sandbox/faults/{fault['id']}").json
    assert (shown["asked"], shown["fired"]) == (3, 2)


def test_times_limits_the_deliveries_of_one_claim(arm: Arm, hook: Webhook) -> None:
    arm("abort", webhook=hook.pk, times=2)
    for _ in range(4):
        fan_out.trigger(hook)
    claimed = claim.claim(4).claims
    assert [each.interceptor is not None for each in claimed] == [True, True, False, False]


def test_same_seed_fires_for_the_same_deliveries(
    arm: Arm, deliver: Deliver, hook: Webhook, client: Caller
) -> None:
    def draw(**more: Any) -> list[bool]:
        arm("rotate_secret", name="drawn", webhook=hook.pk, probability=0.5, **more)
        seen = [bool(deliver().faults) for _ in range(8)]
        client.delete("/sandbox/faults")
        return seen

    first = draw()
    assert set(first) == {True, False}
    assert draw() == first
    assert draw(seed=4) != first


def test_validator_has_faults(arm: Arm, served: Handler) -> None:
    catalog = validating.platform("2")
    validator = validating.validator(catalog, served.url)
    fault = arm("abort", webhook=validator.pk)
    row = validating.draft(catalog)
    assert validating.refused(catalog, row) == ["Handler returned HTTP 503 (expected 2xx)."]
    assert Attempt.objects.get().faults == marks(fault) and not served.received
