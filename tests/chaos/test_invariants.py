"""The checks find what they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.invariants import Answer, Attempt, Record, repeats_by_webhook, violations
from tests.chaos.receiver import ANSWERED, CUT, REFUSED, Received

# A record without faults: an order, delivered to one webhook.
REQUEST = Received(0, "/answer/1", 1.0, reused=False, end=ANSWERED)
ATTEMPT = Attempt("WH-1", 7, "success", "2026-11-27 10:00:00", 0)
ORDER = Answer(0.1, 201, created="PR-1")
COUNTERS = {"events": 1, "triggers": 1, "success_triggers": 1, "failure_triggers": 0}
RECORD = Record(
    paths={"WH-1": "/answer/1"},
    received=[REQUEST],
    events=[("WH-1", "PR-1", 7)],
    deliveries={7: ("WH-1", "delivered")},
    attempts=[ATTEMPT],
    counters={"WH-1": COUNTERS},
    answers=[ORDER],
    deliverable=0.5,
)


def counted(**more: int) -> dict[str, Any]:
    return {"counters": {"WH-1": COUNTERS | more}}


# With the request of a killed worker, which was repeated.
KILLED: dict[str, Any] = {
    "received": [REQUEST, Received(1, "/answer/1", 0.5, reused=False, end=CUT)],
    "attempts": [Attempt("WH-1", 7, "unknown", "2026-11-27 09:59:00"), ATTEMPT],
    "killed": {(7, "2026-11-27 09:59:00")},
    **counted(triggers=2),
}
AGAIN = Received(2, "/answer/1", 0.6, reused=False, end=ANSWERED)
REFUSED_ONCE = Received(1, "/answer/1", 0.5, reused=False, end=REFUSED)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        KILLED,
        {"received": [REQUEST, replace(REFUSED_ONCE, reused=True)]},
        {"answers": [ORDER, Answer(2.5, 200, waited=1.0)]},
    ],
    ids=["nothing", "in flight at a kill", "refused on a reused connection", "without a CPU"],
)
def test_nothing_is_found_without_a_fault(changes: dict[str, Any]) -> None:
    assert violations(replace(RECORD, **changes)) == []


def test_request_that_was_in_flight_at_a_kill_is_a_repeat() -> None:
    assert repeats_by_webhook(replace(RECORD, **KILLED)) == {"WH-1": 1}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (
            {"answers": [ORDER, Answer(0.1, 201, created="PR-2")]},
            "PR-2 was confirmed by the API, and has no event for WH-1",
        ),
        (
            {"deliveries": {7: ("WH-1", "waiting")}},
            "PR-1 was not delivered to WH-1: delivery 7 is waiting",
        ),
        ({"deliveries": {}}, "delivery 7 is missing"),
        ({"received": []}, "a response that nobody sent"),
        ({"attempts": [replace(ATTEMPT, n=None)]}, "a response that nobody sent"),
        (
            {"attempts": [], **counted(triggers=0, success_triggers=0)},
            "Delivery 7 is delivered, and has no successful attempt",
        ),
        (
            {"attempts": [ATTEMPT, ATTEMPT], **counted(triggers=2, success_triggers=2)},
            "Request 0 of the receiver is recorded as 2 attempts",
        ),
        ({**KILLED, "killed": ()}, "1 requests too many, and 0 were in flight at kills"),
        (
            {**KILLED, "received": [*KILLED["received"], AGAIN]},
            "2 requests too many, and 1 were in flight at kills",
        ),
        ({"received": [REQUEST, REFUSED_ONCE]}, "1 requests too many"),
        (counted(failure_triggers=1), "failure_triggers is 1, and its rows are 0"),
        ({"answers": [ORDER, Answer(2.5, 200)]}, "responded 200 after 2.5 s"),
        ({"answers": [ORDER, Answer(0.1, 500, "500: x")]}, "The API: 500: x"),
        ({"deliverable": 31.0}, "deliverable again after 31.0 s"),
        ({"deliverable": None}, "deliverable again never"),
    ],
)
def test_violation_is_found(changes: dict[str, Any], part: str) -> None:
    found = violations(replace(RECORD, **changes))
    assert any(part in line for line in found), found
