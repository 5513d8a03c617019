"""Moves of platform time with a running engine: everything happens at its simulated time."""

from __future__ import annotations

import itertools
import threading
import time as real_time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections

from requests_queue import clock
from requests_queue.clock import Reading
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict
from requests_queue.models import Clock
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import moves, settling
from sandbox.timeline import notification
from tests import make
from tests.engines import move_clock, running, settled, until
from tests.handlers import ReceivedRequest, Response, handler
from webhooks import states, webhook_health
from webhooks.delivery import claim, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Engine]:
    """An engine that wake-ups reach, as in a sandbox with one process."""
    # These handlers do nothing after their responses.
    settings.SIM_SETTLE_TIME = 0.0
    with running() as [engine]:
        monkeypatch.setattr(wakeup, "send", engine.wake)
        yield engine


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move waits half a second for requests in flight."""
    monkeypatch.setattr(moves, "PATIENCE", 0.5)


@pytest.fixture
def on_wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Return a function that lets a move call another one each time before it waits."""
    wait = notification.wait

    def install(look: Callable[[], Any]) -> None:
        def look_and_wait(seen: int, seconds: float) -> int:
            look()
            return wait(seen, min(seconds, 0.02))

        monkeypatch.setattr(notification, "wait", look_and_wait)

    return install


OnWait = Callable[[Callable[[], Any]], None]


def in_background(work: Callable[[], Any]) -> threading.Event:
    """Run a function in a thread, and return the event of its end."""
    ended = threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    return ended


def test_one_day_runs_all_retries_each_at_its_own_time(engine: Engine) -> None:
    catalog = make.catalog()
    times: list[datetime] = []

    def respond(request: ReceivedRequest) -> Response:
        times.append(clock.now())
        connections.close_all()
        return 500

    with handler(respond) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        began = real_time.monotonic()
        moved = moves.advance(timedelta(days=1))
        assert real_time.monotonic() - began < 20
    attempts = list(Attempt.objects.order_by("number"))
    assert len(attempts) == 10
    delays = [300, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    for (before, after), seconds in zip(itertools.pairwise(attempts), delays, strict=True):
        # Backoffs end at whole seconds, and the request starts exactly then.
        gap = after.started_at - before.finished_at
        assert seconds * S <= gap < (seconds + 1) * S
        assert after.started_at.microsecond == 0
        # Platform time did not move during a request.
        assert after.finished_at == after.started_at
    assert times[1:] == [a.started_at for a in attempts[1:]]
    hook.refresh_from_db()
    assert (hook.round, hook.out_of_order, hook.failure_triggers) == (10, True, 10)
    assert moved.end == moved.start + timedelta(days=1)
    assert moved.stops == 9
    assert webhook_health.counter_discrepancies() == []


def test_recovered_handler_is_not_called_again(engine: Engine) -> None:
    catalog = make.catalog()
    responses = iter([500, 500, 200])
    with handler(lambda request: next(responses)) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        moved = moves.advance(timedelta(days=1))
        assert settled()
    hook.refresh_from_db()
    assert (hook.triggers, hook.success_triggers, hook.earliest_possible_trigger) == (3, 1, None)
    assert hook.last_success is not None
    assert hook.last_success.finished_at < moved.start + 902 * S
    assert moved.stops == 2


def test_pending_deliveries_are_sent_when_backoff_ends(engine: Engine) -> None:
    catalog = make.catalog()
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        for _ in range(6):
            make.order(catalog)
        moves.advance(S)
        served.respond = lambda request: 200
        hook.refresh_from_db()
        gate = hook.earliest_possible_trigger
        moves.advance(timedelta(hours=1))
    delivered = Attempt.objects.filter(outcome="success")
    assert set(delivered.values_list("started_at", flat=True)) == {gate}
    assert settled()


def test_move_without_due_deliveries_is_one_step() -> None:
    before = clock.now()
    moved = moves.advance(timedelta(hours=5))
    after = clock.now()
    assert before <= moved.start
    assert moved.end - moved.start == timedelta(hours=5)
    assert moved.stops == 0
    assert moved.end <= after < moved.end + timedelta(minutes=1)
    assert clock.now() > after
    assert moves.clock_state()[1] is False


def test_concurrent_move_is_refused(engine: Engine, on_wait: OnWait) -> None:
    catalog = make.catalog()
    refused: list[Conflict] = []
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)

        def second() -> None:
            assert moves.clock_state()[1] is True
            with pytest.raises(Conflict) as raised:
                moves.advance(S)
            refused.append(raised.value)
            served.release.set()

        on_wait(second)
        moved = moves.advance(timedelta(minutes=1))
    assert refused[0].status == 409
    assert moved.end - moved.start == timedelta(minutes=1)
    # The refused move changed nothing.
    assert moved.end <= clock.now() < moved.end + 30 * S
    assert moves.advance(S).stops == 0


def test_move_waits_for_request_in_flight(engine: Engine, on_wait: OnWait) -> None:
    catalog = make.catalog()
    times: set[datetime] = set()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)

        def look() -> None:
            times.add(clock.now())
            if len(served.received) and len(times) and served.calls.qsize():
                served.release.set()

        on_wait(look)
        moved = moves.advance(timedelta(hours=1))
    assert times == {moved.start}
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.finished_at) == ("success", moved.start)


def test_hanging_request_continues_before_its_deadline(engine: Engine, impatient: None) -> None:
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        moved = moves.advance(timedelta(seconds=295))
        assert moved.end - moved.start == 295 * S
        assert Delivery.objects.get().state == "calling"
        assert not Attempt.objects.exists()
        served.release.set()
        until(settled, "delivered after all")
    assert Attempt.objects.get().outcome == "success"


def test_hanging_request_times_out_at_its_simulated_deadline(
    engine: Engine, impatient: None
) -> None:
    catalog = make.catalog()
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        moves.advance(timedelta(seconds=400))
    attempt = Attempt.objects.get()
    assert attempt.finished_at == attempt.started_at + 300 * S
    assert (attempt.outcome, attempt.status_code) == ("failure", None)
    assert attempt.duration == 300_000
    assert "Timed out after 300 s" in attempt.error
    hook.refresh_from_db()
    assert hook.round == 1
    assert hook.earliest_possible_trigger is not None
    assert 600 * S <= hook.earliest_possible_trigger - attempt.started_at < 601 * S
    assert Delivery.objects.get().state == "waiting"
    assert webhook_health.counter_discrepancies() == []


def test_move_waits_for_retry_of_request_that_timed_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, on_wait: OnWait
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.3)
    catalog = make.catalog()
    numbers = iter(range(10))
    second, answered = threading.Event(), threading.Event()

    def respond(request: ReceivedRequest) -> Response:
        if next(numbers) == 0:
            return None
        second.set()
        answered.wait(5)
        return 200

    def look() -> None:
        if second.is_set():
            answered.set()

    with handler(respond) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        on_wait(look)
        moves.advance(timedelta(hours=2))
        assert settled()
    cut, delivered = Attempt.objects.order_by("number")
    assert (cut.outcome, delivered.outcome) == ("failure", "success")
    assert 300 * S <= delivered.started_at - cut.finished_at < 301 * S
    assert delivered.finished_at == delivered.started_at


def test_handler_that_always_hangs_goes_out_of_order(
    engine: Engine, impatient: None, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 3
    catalog = make.catalog()
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        moves.advance(timedelta(hours=1))
    hook.refresh_from_db()
    assert (hook.out_of_order, hook.failure_triggers) == (True, 3)
    for attempt in Attempt.objects.all():
        assert attempt.finished_at - attempt.started_at == 300 * S


def test_planned_date_is_reached_at_its_own_time(engine: Engine) -> None:
    catalog = make.catalog()
    with handler() as served:
        make.webhook(catalog, served.url)
        row = make.order(catalog)
        planned = clock.shown(clock.now()) + timedelta(hours=3)
        transitions.move(
            Request, row.pk, "schedule", catalog.as_vendor, {"planned_date": planned.isoformat()}
        )
        moves.advance(timedelta(hours=2))
        row.refresh_from_db()
        assert row.status == "scheduled"
        moves.advance(timedelta(hours=2))
        row.refresh_from_db()
        assert (row.status, row.updated, row.planned_date) == ("pending", planned, None)
        assert settled()
    released = Event.objects.latest("pk")
    assert (released.status_from, released.status_to, released.at) == (
        "scheduled",
        "pending",
        planned,
    )
    assert released.delivery.attempt_set.get().started_at == planned


def test_move_renews_its_lease(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, on_wait: OnWait
) -> None:
    monkeypatch.setattr(moves, "LEASE", 0.6)
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        first: list[float] = []

        def look() -> None:
            lease = Clock.objects.get().moving_lease
            first.append(lease)
            if lease > first[0] + 0.3:
                served.release.set()

        on_wait(look)
        moves.advance(S)
    assert Clock.objects.get().moving_lease == 0
    assert Attempt.objects.get().outcome == "success"


def test_move_of_killed_process_ends_with_its_lease() -> None:
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=real_time.time() + 60)
    moves.recover()
    assert clock.now() == stopped
    with pytest.raises(Conflict):
        moves.advance(S)
    Clock.objects.update(moving_lease=1.0)
    moved = moves.advance(S)
    assert (moved.start, moved.end) == (stopped, stopped + S)
    Clock.objects.update(frozen_at=stopped, moving_lease=1.0)
    moves.recover()
    assert stopped < clock.now() < stopped + 30 * S


def test_look_at_the_clock_ends_the_move_of_a_killed_process() -> None:
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=DatabaseTime() - 1)
    state = moves.clock_state()
    assert (state.moving, state.frozen) == (False, False)
    assert stopped <= state.now < stopped + 30 * S
    assert clock.now() > stopped


def test_start_of_the_only_process_ends_the_move_of_a_killed_one_at_once() -> None:
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=DatabaseTime() + 20)
    moves.recover(is_alone=True)
    assert stopped < clock.now() < stopped + 30 * S
    assert moves.advance(S).start > stopped


def test_move_of_this_process_outlives_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """While SQLite lets all writes wait, it cannot be renewed."""
    monkeypatch.setattr(moves, "LEASE", 100.0)
    with moves.Move.begin(moves.ADVANCE) as move:
        Clock.objects.update(moving_lease=1.0)
        moves.recover()
        assert moves.clock_state()[:3] == (move.now, False, True)
        move.step(move.now + S)
    assert not moves.clock_state().frozen


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)])
def test_lease_of_move_uses_database_clock(wrong: timedelta) -> None:
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=DatabaseTime() + 20)
    with time_machine.travel(datetime.now(UTC) + wrong):
        assert moves.clock_state()[:2] == (stopped, True)
        moves.recover()
        with pytest.raises(Conflict):
            moves.advance(S)
        Clock.objects.update(moving_lease=DatabaseTime() - 1)
        moves.recover()
        assert Clock.objects.get().frozen_at is None


def test_cleanup_keeps_move_that_has_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=1.0)
    release = moves.release

    def begun_before(moment: datetime, **held: float) -> None:
        moves._begin()
        release(moment, **held)

    monkeypatch.setattr(moves, "release", begun_before)
    moves.recover()
    assert moves.clock_state()[:2] == (stopped, True)


def test_move_begins_where_previous_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    read = clock.read
    ends: list[datetime] = []
    other: list[threading.Event] = []

    def move() -> None:
        try:
            ends.append(moves.advance(timedelta(hours=1)).end)
        except Conflict:
            pass

    def read_and_wait() -> Reading:
        reading = read()
        if not other:
            other.append(in_background(move))
            other[0].wait(0.4)
        return reading

    Clock.objects.create(pk=1)
    monkeypatch.setattr(clock, "read", read_and_wait)
    ends.append(moves.advance(S).end)
    assert other[0].wait(10)
    # Time has not moved backwards.
    assert clock.now() >= max(ends)


def test_failed_move_keeps_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("as if the program failed")

    start = clock.now()
    monkeypatch.setattr(moves.settling, "waiting_for", broken)
    with pytest.raises(RuntimeError):
        moves.advance(timedelta(days=1))
    assert start < clock.now() < start + 30 * S
    assert moves.clock_state()[1] is False


def probing(catalog: make.Catalog) -> tuple[Webhook, Any]:
    """Make a webhook whose first request after a backoff is in flight, with pending deliveries."""
    hook = make.webhook(catalog)
    for _ in range(3):
        make.order(catalog)
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claim.claim(10).claims])
    move_clock(400)
    [probe] = claim.claim(10).claims
    return hook, probe


def test_request_that_ends_during_the_check_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, probe = probing(make.catalog())
    select = claim.select

    def then_succeed(limit: int, now: datetime) -> list[int]:
        pks = select(limit, now)
        in_background(lambda: record.record([AttemptResult(probe, states.SUCCESS, 1)])).wait(0.4)
        return pks

    monkeypatch.setattr(claim, "select", then_succeed)
    # Either the request is found, or the deliveries that follow its success.
    assert settling.unsettled(clock.now())
    until(lambda: Attempt.objects.filter(outcome="success").exists(), "recorded")


def test_request_that_starts_during_the_check_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order_of = make.catalog()
    make.webhook(order_of)
    make.order(order_of)
    deadlines = settling._deadlines

    def then_claim() -> Any:
        moments = deadlines()
        in_background(lambda: claim.claim(10).claims).wait(0.4)
        return moments

    monkeypatch.setattr(settling, "_deadlines", then_claim)
    assert settling.unsettled(clock.now())
    until(lambda: Delivery.objects.get().state == "calling", "claimed")
