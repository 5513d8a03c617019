"""The checks find what they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.invariants import Answer, Attempt, Record, repeats_by_webhook, violations
from tests.chaos.receiver import ANSWERED, CUT, REFUSED, Received

STARTED = "2026-11-27 10:00:00"


def record() -> Record:
    """Return a record without faults: an order, delivered to one webhook."""
    return Record(
        paths={"WH-1": "/answer/1"},
        received=[Received(0, "/answer/1", 1.0, reused=False, end=ANSWERED)],
        events=[("WH-1", "PR-1", 7)],
        deliveries={7: ("WH-1", "delivered")},
        attempts=[Attempt("WH-1", 7, "success", STARTED, 0)],
        counters={
            "WH-1": {"events": 1, "triggers": 1, "success_triggers": 1, "failure_triggers": 0}
        },
        answers=[Answer(0.1, 201, created="PR-1")],
        deliverable=0.5,
    )


def killed(each: Record) -> None:
    """Add the request of a killed worker, which was repeated."""
    each.received.append(Received(1, "/answer/1", 0.5, reused=False, end=CUT))
    each.attempts.insert(0, Attempt("WH-1", 7, "unknown", "2026-11-27 09:59:00"))
    each.counters = {"WH-1": {**each.counters["WH-1"], "triggers": 2}}
    each.killed = {(7, "2026-11-27 09:59:00")}


def test_nothing_is_found_without_a_fault() -> None:
    assert violations(record()) == []


def test_repeat_of_what_was_in_flight_at_a_kill_is_allowed() -> None:
    each = record()
    killed(each)
    assert violations(each) == []
    assert repeats_by_webhook(each) == {"WH-1": 1}


def refused(each: Record, *, reused: bool) -> None:
    each.received.append(Received(1, "/answer/1", 0.5, reused=reused, end=REFUSED))


def test_request_refused_on_a_reused_connection_may_be_sent_again() -> None:
    each = record()
    refused(each, reused=True)
    assert violations(each) == []


def lose_event(each: Record) -> None:
    each.answers.append(Answer(0.1, 201, created="PR-2"))


def leave_pending(each: Record) -> None:
    each.deliveries = {7: ("WH-1", "waiting")}


def lose_delivery(each: Record) -> None:
    each.deliveries = {}


def lose_request(each: Record) -> None:
    each.received.clear()


def lose_response(each: Record) -> None:
    each.attempts[0] = replace(each.attempts[0], n=None)


def lose_attempt(each: Record) -> None:
    each.attempts.clear()
    each.counters = {"WH-1": {**each.counters["WH-1"], "triggers": 0, "success_triggers": 0}}


def record_twice(each: Record) -> None:
    each.attempts *= 2
    each.counters = {"WH-1": {**each.counters["WH-1"], "triggers": 2, "success_triggers": 2}}


def repeat_without_kill(each: Record) -> None:
    killed(each)
    each.killed = ()


def repeat_more_than_killed(each: Record) -> None:
    killed(each)
    each.received.append(Received(2, "/answer/1", 0.6, reused=False, end=ANSWERED))


def miscount(each: Record) -> None:
    each.counters = {"WH-1": {**each.counters["WH-1"], "failure_triggers": 1}}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lose_event, "PR-2 was confirmed by the API, and has no event for WH-1"),
        (leave_pending, "PR-1 was not delivered to WH-1: delivery 7 is waiting"),
        (lose_delivery, "delivery 7 is missing"),
        (lose_request, "a response that nobody sent"),
        (lose_response, "a response that nobody sent"),
        (lose_attempt, "Delivery 7 is delivered, and has no successful attempt"),
        (record_twice, "Request 0 of the receiver is recorded as 2 attempts"),
        (repeat_without_kill, "1 requests too many, and 0 were in flight at kills"),
        (repeat_more_than_killed, "2 requests too many, and 1 were in flight at kills"),
        (lambda each: refused(each, reused=False), "1 requests too many"),
        (miscount, "failure_triggers is 1, and its rows are 0"),
        (lambda each: each.answers.append(Answer(2.5, 200)), "responded 200 after 2.5 s"),
        (lambda each: each.answers.append(Answer(0.1, 500, "500: x")), "The API: 500: x"),
        (lambda each: setattr(each, "deliverable", 31.0), "deliverable again after 31.0 s"),
        (lambda each: setattr(each, "deliverable", None), "deliverable again never"),
    ],
)
def test_violation_is_found(change: Callable[[Record], None], part: str) -> None:
    each = record()
    change(each)
    assert any(part in line for line in violations(each)), violations(each)


def test_time_without_a_cpu_is_not_the_servers() -> None:
    each = record()
    each.answers.append(Answer(2.5, 200, waited=1.0))
    assert violations(each) == []
