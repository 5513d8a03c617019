"""Resets and restores beside engines of other processes: nothing of the old world is recorded.

An engine of another process sees a replacement only in the database, and so do those of these
tests, although they are in the same process.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

from requests_queue import clock
from requests_queue.db import pausing
from requests_queue.heartbeats import Problems
from sandbox.world import snapshots, tables
from tests.api import Caller
from tests.background import Background
from tests.engines import lost_results, running, until
from tests.handlers import handler
from tests.sandbox.worlds import purchase, webhook
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim
from webhooks.delivery.engine import Poll, Poller, Window
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.signals import attempts_recorded, recording_attempts

pytestmark = pytest.mark.django_db(transaction=True)

Engine = tuple[Poller, Window]


def engine() -> Engine:
    """Return the database side of an engine that has read the clock, without deliveries."""
    window = Window()
    poller = Poller(window, Problems(), 10, threading.Event())
    with pausing.draining():
        poll((poller, window))
    return poller, window


def poll(engine: Engine) -> Poll:
    poller, window = engine
    return poller.poll(Poll(len(window.all_claims()), dict(window.results)))


@pytest.fixture
def delivery(saved: Any, vendor: Caller, distributor: Caller) -> int:
    """A due delivery; the snapshot `due` has it too."""
    webhook(vendor, "http://127.0.0.1:9/")
    purchase(distributor)
    snapshots.save("due", patience=0)
    return Delivery.objects.get().pk


def start(engine: Engine) -> Claim:
    """Poll, and start the only claimed delivery."""
    window = engine[1]
    [claimed] = poll(engine).claims
    window.claims.clear()
    window.in_flight[claimed.key] = InFlight(claimed)
    return claimed


def finish(engine: Engine, claimed: Claim) -> None:
    window = engine[1]
    del window.in_flight[claimed.key]
    window.results[claimed.key] = AttemptResult(claimed, states.FAILURE, 5)


def test_each_replacement_begins_a_new_generation(delivery: int) -> None:
    first = clock.read().generation
    snapshots.reset(patience=0)
    snapshots.restore("due", patience=0)
    assert clock.read().generation == first + 2


def test_result_of_the_old_world_is_dropped(delivery: int) -> None:
    one, other = engine(), engine()
    finish(one, start(one))
    snapshots.restore("due", patience=0)
    assert poll(other).replaced_by == clock.read().generation
    claimed = start(other)
    assert claimed.delivery_id == delivery
    polled = poll(one)
    assert len(polled.stored) == 1
    assert polled.replaced_by == claimed.generation
    assert not Attempt.objects.exists()
    row, hook = Delivery.objects.get(), Webhook.objects.get()
    assert (row.state, row.claim, row.attempts) == ("calling", claimed.token, 0)
    assert (hook.triggers, hook.earliest_possible_trigger) == (0, None)
    # Only what belongs to the new world is recorded.
    with pausing.draining():
        assert poll(one).replaced_by is None
    finish(other, claimed)
    assert len(poll(other).stored) == 1
    assert Attempt.objects.get().number == 1


def test_flush_that_waits_for_a_restore_drops_its_results(
    delivery: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_replaced, is_flushing = threading.Event(), threading.Event()
    begin_time, real = snapshots._begin_time, record.record

    def wait_for_flush(*arguments: Any) -> datetime:
        is_replaced.set()
        assert is_flushing.wait(10)
        return begin_time(*arguments)

    def record_while_it_waits(*arguments: Any, **options: Any) -> Any:
        is_flushing.set()
        return real(*arguments, **options)

    [claimed] = claim.claim(10).claims
    monkeypatch.setattr(snapshots, "_begin_time", wait_for_flush)
    monkeypatch.setattr(record, "record", record_while_it_waits)
    # The recorder of API calls is not paused in another process.
    monkeypatch.setattr(recording_attempts, "receivers", [])
    restoring = Background(lambda: snapshots.restore("due", patience=0))
    assert is_replaced.wait(10)
    stored = record.flush([AttemptResult(claimed, states.FAILURE, 5)]).stored
    restoring.result()
    # On PostgreSQL it waits for the lock for a limited time, and is tried again.
    assert stored in (["dropped"], ["kept"])
    assert record.flush([AttemptResult(claimed, states.FAILURE, 5)]).stored == ["dropped"]
    assert not Attempt.objects.exists()


def test_restore_waits_for_a_flush_that_has_locked_its_deliveries(
    delivery: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locking = threading.Event()
    restoring: list[Background] = []
    locked = tables.locked

    def lock() -> Any:
        is_locking.set()
        return locked()

    def restore(**kwargs: Any) -> None:
        restoring.append(Background(lambda: snapshots.restore("due", patience=0)))
        assert is_locking.wait(10)

    [claimed] = claim.claim(10).claims
    monkeypatch.setattr(tables, "locked", lock)
    attempts_recorded.connect(restore)
    try:
        stored = record.flush([AttemptResult(claimed, states.FAILURE, 5)]).stored
    finally:
        attempts_recorded.disconnect(restore)
    assert stored == ["settled"]
    restoring[0].result()
    assert not Attempt.objects.exists()
    assert Webhook.objects.get().triggers == 0


def test_result_is_dropped_even_if_its_claim_is_in_the_new_world(delivery: int) -> None:
    [claimed] = claim.claim(10).claims
    snapshots.restore("due", patience=0)
    Delivery.objects.update(state="calling", claim=claimed.token, lease=2e9)
    assert record.flush([AttemptResult(claimed, states.SUCCESS, 5)]).stored == ["dropped"]
    assert not Attempt.objects.exists()


def test_leases_of_the_old_world_are_not_renewed(delivery: int) -> None:
    one = engine()
    claimed = start(one)
    snapshots.save("calling", patience=0)
    snapshots.restore("calling", patience=0)
    claim.renew([claimed])
    assert Delivery.objects.get().lease == 0
    # Another worker records the attempt as unknown.
    engine()
    assert Attempt.objects.get().outcome == "unknown"


def test_lost_attempts_of_the_old_world_are_dropped(delivery: int) -> None:
    start(engine())
    claim.expire_leases()
    lost = lost_results(clock.read().generation)
    snapshots.restore("due", patience=0)
    assert record.flush(lost).stored == ["dropped"]
    assert Delivery.objects.get().losses == 0


def test_failure_that_cannot_be_stored_starts_no_backoff_in_the_new_world(
    delivery: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("on purpose")

    [claimed] = claim.claim(10).claims
    snapshots.restore("due", patience=0)
    monkeypatch.setattr("webhooks.delivery.record.record", defect)
    assert record.flush([AttemptResult(claimed, states.FAILURE, 5)]).stored == ["released"]
    assert Webhook.objects.get().earliest_possible_trigger is None
    assert Delivery.objects.get().state == "waiting"


def test_window_keeps_what_it_has_claimed_of_the_new_world(delivery: int) -> None:
    one = engine()
    window = one[1]
    old = start(one)
    snapshots.restore("due", patience=0)
    [new] = claim.claim(10).claims
    window.claims.append(new)
    window.results[new.key] = AttemptResult(new, states.SUCCESS, 5)
    window.results[old.key] = AttemptResult(old, states.SUCCESS, 5)
    window.abandon_others(new.generation)
    assert list(window.claims) == [new]
    assert list(window.results) == [new.key]
    assert not window.in_flight


def test_engine_cancels_requests_of_the_old_world(
    saved: Any, vendor: Caller, distributor: Caller
) -> None:
    with handler(None) as served, running() as [other]:
        webhook(vendor, served.url)
        purchase(distributor)
        other.wake()
        served.next()
        snapshots.reset(patience=0)
        other.wake()
        until(lambda: not other.in_flight, "the request is cancelled")
        # Its slot is free.
        webhook(vendor, served.url)
        purchase(distributor)
        other.wake()
        served.next()
        served.release.set()
        until(lambda: Attempt.objects.count() == 1, "only the new one is recorded")


def test_attempts_of_a_restored_delivery_are_numbered_from_those_of_the_snapshot(
    delivery: int,
) -> None:
    attempts: list[tuple[int, int]] = []
    for _ in range(2):
        [claimed] = claim.claim(10).claims
        record.flush([AttemptResult(claimed, states.UNKNOWN, 5)])
        [claimed] = claim.claim(10).claims
        record.flush([AttemptResult(claimed, states.SUCCESS, 5)])
        attempts += Attempt.objects.order_by("pk").values_list("pk", "number")
        snapshots.restore("due", patience=0)
    # The same expectation about them holds after each restore; their ids are not used twice.
    assert [number for _, number in attempts] == [1, 2, 1, 2]
    assert len({pk for pk, _ in attempts}) == 4


def test_poll_reads_time_and_generation_in_one_statement(
    delivery: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = engine()
    readings: list[datetime] = []
    read = clock.read

    def counted() -> clock.Reading:
        readings.append((reading := read()).now)
        return reading

    monkeypatch.setattr(clock, "read", counted)
    assert poll(one).claims
    # The claim's, which reads the time again after its selection.
    assert len(readings) == 2
