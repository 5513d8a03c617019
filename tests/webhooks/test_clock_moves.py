"""Moves of platform time with a running engine: everything happens at its simulated time."""

from __future__ import annotations

import itertools
import threading
import time as real_time
from collections.abc import Callable
from contextlib import suppress
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
from sandbox.clock import moves, settling
from sandbox.timeline import observer
from tests import make
from tests.background import Background
from tests.engines import settled, until
from tests.handlers import ReceivedRequest, Response
from tests.webhooks.breaking import break_
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import failing
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]

S = timedelta(seconds=1)


@pytest.fixture
def engine(engine: Engine, settings: Any) -> Engine:
    """Return an engine whose handlers do nothing after their responses."""
    settings.SIM_SETTLE_TIME = 0.0
    return engine


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move waits half a second for requests in flight."""
    monkeypatch.setattr(moves, "PATIENCE", 0.5)


@pytest.fixture
def on_wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Return a function that lets a move call another one each time before it waits."""
    wait = observer.wait

    def install(look: Callable[[], Any]) -> None:
        def look_and_wait(seen: int, seconds: float) -> int:
            look()
            return wait(seen, min(seconds, 0.02))

        monkeypatch.setattr(observer, "wait", look_and_wait)

    return install


OnWait = Callable[[Callable[[], Any]], None]


def test_one_day_runs_all_retries_each_at_its_own_time(
    catalog: make.Catalog, engine: Engine
) -> None:
    times: list[datetime] = []

    def respond(request: ReceivedRequest) -> Response:
        times.append(clock.now())
        connections.close_all()
        return 500

    with called_webhook(catalog, respond) as (_, hook):
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


def test_pending_deliveries_are_sent_when_backoff_ends(
    catalog: make.Catalog, engine: Engine
) -> None:
    with called_webhook(catalog, 500, orders=6) as (served, hook):
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
    assert before <= moved.start
    assert (moved.end - moved.start, moved.stops) == (timedelta(hours=5), 0)
    after = clock.now()
    assert moved.end <= after < moved.end + timedelta(minutes=1)
    assert clock.now() > after
    assert moves.clock_state()[1] is False


def test_move_waits_for_request_in_flight(
    catalog: make.Catalog, engine: Engine, on_wait: OnWait
) -> None:
    times: set[datetime] = set()
    with called_webhook(catalog, None) as (served, _):

        def look() -> None:
            times.add(clock.now())
            if served.received:
                served.release.set()

        on_wait(look)
        moved = moves.advance(timedelta(hours=1))
    assert times == {moved.start}
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.finished_at) == ("success", moved.start)


def test_hanging_request_continues_before_its_deadline(
    catalog: make.Catalog, engine: Engine, impatient: None
) -> None:
    with called_webhook(catalog, None) as (served, _):
        served.next()
        moved = moves.advance(timedelta(seconds=295))
        assert moved.end - moved.start == 295 * S
        assert Delivery.objects.get().state == "calling"
        assert not Attempt.objects.exists()
        served.release.set()
        until(settled, "delivered after all")
    assert Attempt.objects.get().outcome == "success"


def test_hanging_request_times_out_at_its_simulated_deadline(
    catalog: make.Catalog, engine: Engine, impatient: None
) -> None:
    with called_webhook(catalog, None) as (served, hook):
        served.next()
        moves.advance(timedelta(seconds=400))
    attempt = Attempt.objects.get()
    assert attempt.finished_at == attempt.started_at + 300 * S
    assert (attempt.outcome, attempt.status_code, attempt.duration) == ("failure", None, 300_000)
    assert "Timed out after 300 s" in attempt.error
    hook.refresh_from_db()
    assert hook.round == 1
    assert 600 * S <= hook.earliest_possible_trigger - attempt.started_at < 601 * S
    assert Delivery.objects.get().state == "waiting"


def test_move_waits_for_retry_of_request_that_timed_out(
    catalog: make.Catalog, engine: Engine, monkeypatch: pytest.MonkeyPatch, on_wait: OnWait
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.3)
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

    with called_webhook(catalog, respond):
        on_wait(look)
        moves.advance(timedelta(hours=2))
        assert settled()
    cut, delivered = Attempt.objects.order_by("number")
    assert (cut.outcome, delivered.outcome) == ("failure", "success")
    assert 300 * S <= delivered.started_at - cut.finished_at < 301 * S
    assert delivered.finished_at == delivered.started_at


def test_move_renews_its_lease(
    catalog: make.Catalog, engine: Engine, monkeypatch: pytest.MonkeyPatch, on_wait: OnWait
) -> None:
    monkeypatch.setattr(moves, "LEASE", 0.6)
    with called_webhook(catalog, None) as (served, _):
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


def killed_move(lease: Any) -> datetime:
    """Leave the clock as a move of a killed process does; return its time."""
    stopped = clock.now() + timedelta(hours=1)
    Clock.objects.create(pk=1, frozen_at=stopped, moving_lease=lease)
    return stopped


def test_move_of_killed_process_ends_with_its_lease() -> None:
    stopped = killed_move(1.0)
    moved = moves.advance(S)
    assert (moved.start, moved.end) == (stopped, stopped + S)


def test_look_at_the_clock_ends_the_move_of_a_killed_process() -> None:
    stopped = killed_move(DatabaseTime() - 1)
    state = moves.clock_state()
    assert (state.moving, state.frozen) == (False, False)
    assert stopped <= state.now < stopped + 30 * S
    assert clock.now() > stopped


def test_start_of_the_only_process_ends_the_move_of_a_killed_one_at_once() -> None:
    stopped = killed_move(DatabaseTime() + 20)
    moves.recover(is_alone=True)
    assert stopped < clock.now() < stopped + 30 * S
    assert moves.advance(S).start > stopped


def test_move_of_this_process_outlives_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """While SQLite lets all writes wait, it cannot be renewed."""
    monkeypatch.setattr(moves, "LEASE", 100.0)
    with moves.Move(moves.ADVANCE) as move:
        Clock.objects.update(moving_lease=1.0)
        moves.recover()
        assert moves.clock_state()[:3] == (move.now, False, True)
        move.step(move.now + S)
    assert not moves.clock_state().frozen


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)])
def test_lease_of_move_uses_database_clock(wrong: timedelta) -> None:
    stopped = killed_move(DatabaseTime() + 20)
    with time_machine.travel(datetime.now(UTC) + wrong):
        assert moves.clock_state()[:2] == (stopped, True)
        moves.recover()
        with pytest.raises(Conflict):
            moves.advance(S)
        Clock.objects.update(moving_lease=DatabaseTime() - 1)
        moves.recover()
        assert Clock.objects.get().frozen_at is None


def test_cleanup_keeps_move_that_has_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = killed_move(1.0)
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
    other: list[Background] = []

    def move() -> None:
        with suppress(Conflict):
            ends.append(moves.advance(timedelta(hours=1)).end)

    def read_and_wait() -> Reading:
        reading = read()
        if not other:
            other.append(Background(move))
            other[0].ended.wait(0.4)
        return reading

    Clock.objects.create(pk=1)
    monkeypatch.setattr(clock, "read", read_and_wait)
    ends.append(moves.advance(S).end)
    other[0].result()
    # Time has not moved backwards.
    assert clock.now() >= max(ends)


def test_failed_move_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    start = clock.now()
    break_(monkeypatch, settling, "waiting_for", RuntimeError("as if the program failed"))
    with pytest.raises(RuntimeError):
        moves.advance(timedelta(days=1))
    assert start < clock.now() < start + 30 * S
    assert moves.clock_state()[1] is False


def test_request_that_ends_during_the_check_is_not_missed(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(catalog, waiting=3)
    [probe] = claim.claim(10).claims
    select = claim.select

    def then_succeed(limit: int, now: datetime) -> list[int]:
        pks = select(limit, now)
        success = AttemptResult(probe, states.SUCCESS, 1)
        Background(lambda: record.record([success])).ended.wait(0.4)
        return pks

    monkeypatch.setattr(claim, "select", then_succeed)
    # Either the request is found, or the deliveries that follow its success.
    assert settling.unsettled(clock.now())
    until(lambda: Attempt.objects.filter(outcome="success").exists(), "recorded")


def test_request_that_starts_during_the_check_is_not_missed(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.order(catalog)
    deadlines = settling._deadlines

    def then_claim() -> Any:
        moments = deadlines()
        Background(lambda: claim.claim(10).claims).ended.wait(0.4)
        return moments

    monkeypatch.setattr(settling, "_deadlines", then_claim)
    assert settling.unsettled(clock.now())
    until(lambda: Delivery.objects.get().state == "calling", "claimed")
