"""What a move of the clock waits for: jobs, API calls, settle times (`/sandbox/settle`)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.db import sql
from requests_queue.signals import collect_busy, collect_next_due
from sandbox.clock import moves, settling
from sandbox.models import ProcessActivity, TimelineEntry
from sandbox.timeline import activity, observer, timeline
from sandbox.timeline.activity import Activity
from sandbox.timeline.timeline import Entry
from tests import make
from tests.api import Caller
from tests.background import Background
from tests.handlers import Handler
from tests.planner import history_reads
from tests.queue.test_jobs import receiving
from tests.sandbox.calling import hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Delivery, Webhook

__all__ = ["hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_move_does_not_wait_twice_for_the_same(
    who: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up: list[Any] = []
    give_up = moves.Move._give_up

    def counted(move: moves.Move) -> Any:
        given_up.append(move)
        return give_up(move)

    def stuck(now: datetime, **kwargs: Any) -> set[str]:
        return {"stuck:1"}

    def every_hour(now: datetime, **kwargs: Any) -> datetime:
        return now + timedelta(hours=1)

    monkeypatch.setattr(moves.Move, "_give_up", counted)
    with receiving(collect_busy, stuck), receiving(collect_next_due, every_hour):
        body = {"by": "10h", "patience": 0.1, "settle": 0}
        moved = who.post("/sandbox/clock/advance", body).json
    # At the first of its stops, after its patience.
    assert moved["stops"] == 10 and len(given_up) == 1
    assert moved["unsettled"] == [{"kind": "job", "text": "stuck:1 is running."}]


def test_request_in_flight_is_found_without_locks(
    catalog: make.Catalog, django_assert_num_queries: Any
) -> None:
    delivery, now = make.delivery_about(catalog, "PR-1").pk, clock.now()
    Delivery.objects.filter(pk=delivery).update(state=Delivery.CALLING, started_at=now)
    with django_assert_num_queries(1):
        [left] = settling.waiting_for(now, first=True)
    assert left.text == f"Attempt 1 of delivery {delivery} is in flight."
    # What a move has given up on doesn't hide the rest.
    assert not settling.waiting_for(now, first=True, ignored=left.keys, settle=0)


def test_move_waits_for_other_api_calls_than_those_it_gave_up_on(
    who: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Activity()
    monkeypatch.setattr(activity, "_activity", own)
    hanging, ended = own.begin(), own.begin()
    with moves.Move("advance", settle=0) as move:
        [left] = move.settle(patience=0)
        assert left.text == "2 API calls are in flight." and move.unsettled == [left]
        assert move.settle(patience=0) == []
        later = own.begin()
        own.end(ended)
        [left] = move.settle(patience=0.1)
        assert left.text == "1 API call is in flight." and len(move.unsettled) == 2
        own.end(later)
        third = own.begin()
        moving = Background(move.settle)
        assert not moving.ended.wait(0.1)
        own.end(third)
        assert moving.result() == []
    own.end(hanging)


def test_move_waits_for_other_api_calls_of_another_process_than_those_it_gave_up_on(
    who: Caller, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"

    def serves(*calls: int) -> None:
        ProcessActivity.objects.update_or_create(
            process="other", defaults={"calls": list(calls), "at": sql.DatabaseTime()}
        )

    serves(7)
    with moves.Move("advance", settle=0) as move:
        assert len(move.settle(patience=0)) == 1 and not move.waiting_for()
        serves(7, 8)
        assert [each.text for each in move.waiting_for()] == ["1 API call is in flight."]
        serves(7)
        assert not move.waiting_for()


def test_requests_in_flight_are_read_without_finished_deliveries(hook: Webhook) -> None:
    if connection.vendor != "sqlite":
        # PostgreSQL chooses by its statistics.
        return
    with CaptureQueriesContext(connection) as executed:
        settling.next_due(clock.now())
    assert not history_reads(executed)


def test_move_is_woken_by_the_timeline(
    engine: Engine,
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
    hook: Webhook,
    served: Handler,
) -> None:
    # Waits that nothing ends would take far longer than the test may.
    again = dict.fromkeys(settling._AGAIN, 60.0)
    monkeypatch.setattr(settling, "_AGAIN", again)
    woken: list[bool] = []
    wait = observer.wait

    def noted_wait(seen: int, seconds: float | None = None) -> int:
        count = wait(seen, seconds)
        woken.append(count != seen)
        return count

    monkeypatch.setattr(observer, "wait", noted_wait)
    served.respond = lambda request: 500
    make.order(catalog)
    moves.run_until_idle(patience=60)
    assert len(served.received) == 10 and all(woken)


# Settle times.


@pytest.fixture
def responded(catalog: make.Catalog) -> Webhook:
    return make.webhook(catalog, "http://127.0.0.1:9000/")


def respond(hook: Webhook, *, ago: float = 0, outcome: str = "success", **data: Any) -> None:
    """Write the end of an attempt to the timeline, some seconds ago."""
    number = TimelineEntry.objects.count() + 1
    data = {"url": hook.external_url, "type": hook.type, "outcome": outcome, **data}
    at = datetime.now(UTC) - timedelta(seconds=ago)
    timeline.append(
        [Entry("attempt_finished", clock.now(), hook.pk, number, 1, None, data, real_at=at)]
    )


def call(hook: Webhook, *, ago: float = 0) -> None:
    """Write an API call of the last attempt's handler to the timeline."""
    last = TimelineEntry.objects.filter(kind="attempt_finished").latest("pk")
    at = datetime.now(UTC) - timedelta(seconds=ago)
    data = {"actor": "handler", "duration": 1.0}
    timeline.append(
        [Entry("api_call", clock.now(), hook.pk, last.delivery_id, 1, None, data, real_at=at)]
    )


def kinds() -> list[str]:
    return [each.kind for each in settling.waiting_for(clock.now())]


def test_settle_time_passes_after_a_response(responded: Webhook) -> None:
    assert kinds() == []
    respond(responded, ago=1.1)
    assert kinds() == []
    respond(responded)
    [left] = settling.waiting_for(clock.now())
    assert left.kind == "settle_time" and 0.5 < left.seconds <= 1
    assert left.text.startswith("http://127.0.0.1:9000/ may still act on its last request: ")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        # By the monotonic clock.
        assert kinds() == ["settle_time"]
    respond(responded, ago=-3600)
    assert settling.waiting_for(clock.now())[0].seconds <= 1


def test_failed_attempts_and_validators_need_no_settle_time(responded: Webhook) -> None:
    respond(responded, outcome="failure")
    respond(responded, outcome="unknown")
    respond(responded, type="validator")
    assert kinds() == []


def test_settle_time_is_learned_from_api_calls(responded: Webhook, who: Caller) -> None:
    respond(responded, ago=20.4)
    call(responded, ago=20)
    [row] = who.get("/sandbox/settle").json
    assert (row["url"], row["source"]) == (responded.external_url, "learned")
    assert 700 < row["ms"] < 850
    # Another webhook of the same URL.
    call(responded, ago=1.5)
    assert kinds() == []
    call(responded, ago=0.1)
    assert kinds() == ["settle_time"]


def test_new_process_learns_from_the_newest_entries(
    responded: Webhook, who: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling.fix("http://127.0.0.1:1/", 120)
    respond(responded, ago=20.4)
    call(responded, ago=20)
    before = who.get("/sandbox/settle").json
    settling.forget()
    assert who.get("/sandbox/settle").json == before
    # What was fixed is kept, however long ago that was.
    monkeypatch.setattr(settling, "NEWEST", 1)
    settling.forget()
    assert [row["source"] for row in who.get("/sandbox/settle").json] == ["fixed"]


def test_settle_time_is_fixed_and_learned_again(responded: Webhook, who: Caller) -> None:
    url = responded.external_url
    respond(responded, ago=20.4)
    call(responded, ago=20)
    response = who.post("/sandbox/settle", {"url": url, "ms": 300})
    assert (response.status, response.json) == (200, {"url": url, "ms": 300, "source": "fixed"})
    assert settling.settle_time(url).seconds == 0.3
    response = who.post("/sandbox/settle", {"url": url, "ms": None})
    assert response.json == {"url": url, "ms": 1000, "source": "default"}
    assert who.get("/sandbox/settle").json == []


def test_argument_and_setting_replace_what_was_learned(
    responded: Webhook, who: Caller, settings: Any
) -> None:
    respond(responded)
    assert settling.waiting_for(clock.now(), settle=0.0) == []
    assert settling.waiting_for(clock.now(), settle=5.0)[0].seconds > 4
    settings.SIM_SETTLE_TIME = 0.0
    assert kinds() == []
    settings.SIM_SETTLE_TIME = 3.0
    assert settling.waiting_for(clock.now())[0].seconds > 2
    settling.fix(responded.external_url, 0)
    assert kinds() == []


def test_nobody_acts_any_more_some_time_after_a_call_or_a_response(responded: Webhook) -> None:
    def call_of(actor: str, ago: float) -> None:
        """Write an API call that no attempt has led to."""
        at = datetime.now(UTC) - timedelta(seconds=ago)
        data = {"actor": actor, "duration": 1.0}
        timeline.append([Entry("api_call", clock.now(), data=data, real_at=at)])

    def is_quiet_after(write: Any, *arguments: Any, **ago: float) -> bool:
        write(*arguments, **ago)
        return settling.is_quiet()

    assert settling.is_quiet()
    assert is_quiet_after(respond, responded, outcome="failure")
    # A test.
    assert is_quiet_after(call_of, "test", ago=1.1)
    assert not is_quiet_after(call_of, "test", ago=0.5)
    settling.forget()
    TimelineEntry.objects.all().delete()
    # A handler that polls.
    assert is_quiet_after(call_of, "handler", ago=10.1)
    assert not is_quiet_after(call_of, "handler", ago=9)
    settling.forget()
    TimelineEntry.objects.all().delete()
    # A handler about which nothing is known.
    assert is_quiet_after(respond, responded, ago=10.1)
    assert not is_quiet_after(respond, responded, ago=9)
    # Now it is known to be quick.
    assert not is_quiet_after(call, responded, ago=8.9)
    assert settling.settle_time(responded.external_url).seconds < 1


def test_move_waits_for_the_settle_time_and_no_longer(responded: Webhook) -> None:
    settling.fix(responded.external_url, 400)
    respond(responded)
    began = time.monotonic()
    moves.advance(timedelta(hours=1))
    assert 0.3 < time.monotonic() - began < 5
