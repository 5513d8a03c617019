"""Moves by `/sandbox/clock`, with a running engine and real handlers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from requests_queue import clock
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from requests_queue.signals import collect_next_due
from sandbox.clock import moves
from sandbox.models import TimelineEntry
from sandbox.timeline import timeline
from tests import make
from tests.api import Caller
from tests.engines import until
from tests.handlers import Handler, ReceivedRequest
from tests.queue.test_jobs import receiving
from tests.sandbox.calling import hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

__all__ = ["hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


def during_moves(*statuses: int) -> Callable[[ReceivedRequest], int]:
    """Respond while the clock is moved, so that each attempt finishes during a move.

    The last status is that of all further responses.
    """
    left = list(statuses)

    def respond(request: ReceivedRequest) -> int:
        try:
            until(lambda: moves.clock_state().moving, "a move")
        finally:
            connections.close_all()
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def move(who: Caller, name: str, /, **body: Any) -> dict[str, Any]:
    response = who.post(f"/sandbox/clock/{name}", {"settle": 0, **body})
    assert response.status == 200, response
    return dict(response.json)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_advance_lists_its_attempts(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = during_moves(500, 200)
    pk = make.order(catalog).pk
    moved = move(who, "advance", by="1h")
    assert moment(moved["now"]) - moment(moved["from"]) == 3600 * S
    assert (moved["stops"], moved["stopped_because"]) == (1, "end")
    assert (moved["unsettled"], moved["failed"]) == ([], [])
    first, second = moved["attempts"]
    failed, delivered = Attempt.objects.order_by("number")
    assert failed.next_attempt_at is not None
    about = {
        "webhook": hook.pk,
        "delivery": failed.delivery_id,
        "object": pk,
        "objects": [pk],
    }
    assert first == {
        **about,
        "attempt": 1,
        "at": timeline.format_time(failed.finished_at),
        "outcome": "failure",
        "status": 500,
        "error": "Handler returned HTTP 500 (expected 2xx).",
        "next_attempt_at": timeline.format_time(failed.next_attempt_at),
    }
    assert second == {
        **about,
        "attempt": 2,
        "at": timeline.format_time(delivered.finished_at),
        "outcome": "success",
        "status": 200,
        "error": "",
        "next_attempt_at": None,
    }
    assert delivered.started_at == failed.next_attempt_at


def test_attempts_before_the_move_are_not_listed(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = during_moves(500)
    make.order(catalog)
    assert len(move(who, "advance", by="0s")["attempts"]) == 1
    assert move(who, "advance", by="1s")["attempts"] == []
    [attempt] = move(who, "advance", by="PT6M")["attempts"]
    assert attempt["attempt"] == 2


def test_advance_by_zero_runs_what_is_due_now(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = during_moves(200)
    make.order(catalog)
    moved = move(who, "advance", by="0s")
    assert len(served.received) == 1
    assert moved["from"] == moved["now"]
    assert [attempt["outcome"] for attempt in moved["attempts"]] == ["success"]
    assert not TimelineEntry.objects.filter(kind="clock").exists()


def test_next_moves_to_the_next_attempt_and_through_it(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = lambda request: 500
    make.order(catalog)
    for number, seconds in ((2, 300), (3, 600), (4, 1200)):
        moved = move(who, "next")
        last = moved["attempts"][-1]
        assert (last["attempt"], moved["stops"], moved["stopped_because"]) == (number, 1, "end")
        assert moved["now"] == last["at"]
        elapsed = moment(moved["now"]) - moment(moved["from"])
        assert (seconds - 10) * S < elapsed < (seconds + 1) * S
    served.respond = lambda request: 200
    assert move(who, "next")["attempts"][-1]["outcome"] == "success"
    moved = move(who, "next")
    assert (moved["stopped_because"], moved["stops"], moved["attempts"]) == ("idle", 0, [])
    assert moved["from"] == moved["now"]
    hook.refresh_from_db()
    assert hook.triggers == 5


def test_run_until_idle_runs_all_retries_until_out_of_order(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = during_moves(500)
    make.order(catalog)
    moved = move(who, "run-until-idle")
    assert len(served.received) == 10
    hook.refresh_from_db()
    assert hook.out_of_order
    assert (moved["stopped_because"], moved["stops"], len(moved["attempts"])) == ("idle", 9, 10)
    took = moment(moved["now"]) - moment(moved["from"])
    assert timedelta(hours=22) < took < timedelta(hours=23)
    assert moved["now"] == moved["attempts"][-1]["at"]
    assert move(who, "run-until-idle")["attempts"] == []


def test_run_until_idle_ends_at_its_limits(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    served.respond = during_moves(500)
    make.order(catalog)
    moved = move(who, "run-until-idle", max_steps=2)
    assert (moved["stopped_because"], moved["stops"]) == ("max_steps", 2)
    assert len(moved["attempts"]) == 3
    moved = move(who, "run-until-idle", max="PT1H")
    assert (moved["stopped_because"], moved["stops"]) == ("max", 2)
    assert moment(moved["now"]) - moment(moved["from"]) == 3600 * S
    assert [attempt["attempt"] for attempt in moved["attempts"]] == [4, 5]


def test_recurring_jobs_do_not_keep_run_until_idle_from_ending(who: Caller) -> None:
    ran: list[datetime] = []

    def every_hour(now: datetime, **kwargs: Any) -> datetime:
        ran.append(now)
        return now + timedelta(hours=1)

    with receiving(collect_next_due, every_hour):
        moved = move(who, "run-until-idle")
        assert (moved["stopped_because"], moved["stops"]) == ("idle", 0)
        moved = move(who, "next")
        assert (moved["stopped_because"], moved["stops"]) == ("idle", 0)
        assert move(who, "advance", by="5h")["stops"] == 5


def test_recurring_jobs_run_on_the_way_to_the_next_attempt(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook, served: Handler
) -> None:
    start = clock.shown(clock.now())

    def every_minute(now: datetime, **kwargs: Any) -> datetime:
        return start + (now - start) // timedelta(minutes=1) * timedelta(minutes=1) + 60 * S

    served.respond = during_moves(500)
    with receiving(collect_next_due, every_minute):
        make.order(catalog)
        moved = move(who, "next")
    assert (moved["stopped_because"], len(moved["attempts"])) == ("end", 2)
    assert 5 <= moved["stops"] <= 7


def test_planned_date_on_the_way_creates_work(
    engine: Engine, catalog: make.Catalog, who: Caller, hook: Webhook
) -> None:
    row = make.order(catalog)
    planned = clock.shown(clock.now()) + timedelta(hours=3)
    body = {"planned_date": planned.isoformat()}
    transitions.move(Request, row.pk, "schedule", catalog.as_vendor, body)
    assert move(who, "run-until-idle")["stopped_because"] == "idle"
    row.refresh_from_db()
    assert row.status == "scheduled"
    moved = move(who, "advance", by="4h")
    assert moved["attempts"][-1]["at"] == timeline.format_time(planned)


def test_each_step_is_in_the_timeline(who: Caller) -> None:
    def at_noon(now: datetime, **kwargs: Any) -> datetime | None:
        return noon if now < noon else None

    noon = clock.shown(clock.now()) + timedelta(hours=1)
    with receiving(collect_next_due, at_noon):
        moved = move(who, "advance", by="2h")
    steps = [row.data for row in TimelineEntry.objects.filter(kind="clock").order_by("pk")]
    assert steps == [
        {"action": "advance", "from": moved["from"], "to": timeline.format_time(noon)},
        {"action": "advance", "from": timeline.format_time(noon), "to": moved["now"]},
    ]


def test_move_is_refused_during_another_one(who: Caller) -> None:
    with moves.Move("wait"):
        for path, body in (
            ("advance", {"by": "1s"}),
            ("next", {}),
            ("run-until-idle", {}),
        ):
            response = who.post(f"/sandbox/clock/{path}", body)
            assert (response.status, response.json["error_code"]) == (409, "CLK_001")
    assert who.post("/sandbox/clock/advance", {"by": "1s"}).status == 200
