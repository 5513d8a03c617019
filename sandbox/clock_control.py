"""Move the sandbox's clock forward, from one due time to the next, and run what is due.

A day of retries takes seconds, each attempt at its own simulated time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from requests_queue import clock, jobs
from requests_queue.database_time import DatabaseTime
from requests_queue.errors import Conflict
from requests_queue.models import Clock
from requests_queue.signals import due_reached

SETTLE_TIMEOUT = 10.0  # real seconds that a move waits for requests in flight
# Seconds of the database's wall clock after which a move of a dead process has expired; the
# clocks of the machines may differ.
LEASE = 30.0
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Advance:
    """Result of a move: start and end, number of due times in between, and the failed jobs."""

    start: datetime
    end: datetime
    stops: int
    failed: list[str]


def advance(duration: timedelta, *, pause: Callable[[float], Any] = time.sleep) -> Advance:
    """Move the platform time forward by `duration`, and run what becomes due.

    Raises Conflict (409) during another move.
    """
    start = _begin()
    end = start + duration
    hanging: set[str] = set()
    failed: set[str] = set()
    stops = 0
    now = start
    try:
        with _renewed():
            while True:
                failed.update(jobs.run_due_jobs(now))
                hanging |= _settle(now, hanging, pause)
                following = _next(now, end)
                if following is None:
                    break
                now = following
                stops += 1
                _freeze(now)
            now = end
            _freeze(end)
            failed.update(jobs.run_due_jobs(end))
            _settle(end, hanging, pause)
    finally:
        _release(now)
    return Advance(start, now, stops, sorted(failed))


def read() -> tuple[datetime, bool]:
    """Return the platform time, and whether the clock is being moved."""
    moving = Clock.objects.filter(pk=1, moving_lease__gt=DatabaseTime()).exists()
    return clock.now(), moving


def _begin() -> datetime:
    """Acquire the clock's lease by a filtered UPDATE, and freeze the clock."""
    Clock.objects.get_or_create(pk=1)
    with transaction.atomic():
        taken = Clock.objects.filter(pk=1, moving_lease__lt=DatabaseTime()).update(
            moving_lease=DatabaseTime() + LEASE
        )
        if not taken:
            raise Conflict("CLK_001", "The clock is already being moved. Try again later.")
        # Read with the row locked: a move that has just ended has changed the time.
        start = clock.now()
        _freeze(start)
    return start


def _freeze(moment: datetime) -> None:
    Clock.objects.filter(pk=1).update(frozen_at=moment)


def _release(moment: datetime, **held: float) -> None:
    """Let the clock run again from `moment`."""
    Clock.objects.filter(pk=1, **held).update(
        frozen_at=None, moving_lease=0, offset=moment - datetime.now(UTC)
    )


@receiver(due_reached)
def recover(**kwargs: Any) -> None:
    """Let the clock run again if a moving process was killed and its lease has expired.

    Runs at the start and by the scheduler: a start soon after the kill finds the lease still valid.
    """
    row = Clock.objects.filter(
        pk=1, frozen_at__isnull=False, moving_lease__lt=DatabaseTime()
    ).first()
    if row is not None and row.frozen_at is not None:
        # Filtered by that lease: another move may have begun.
        _release(row.frozen_at, moving_lease=row.moving_lease)


@contextmanager
def _renewed() -> Any:
    """Renew the lease while a move lasts."""
    finished = threading.Event()

    def renew() -> None:
        from django.db import connection

        while not finished.wait(LEASE / 3):
            # Not a released lease: another process may have recovered the clock.
            held = Clock.objects.filter(pk=1, moving_lease__gt=0)
            held.update(moving_lease=DatabaseTime() + LEASE)
        connection.close()

    thread = threading.Thread(target=renew, name="clock-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _settle(now: datetime, hanging: set[str], pause: Callable[[float], Any]) -> set[str]:
    """Wait until nothing is due or in flight; return what still hangs after the timeout."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while True:
        left = jobs.busy(now) - hanging
        if not left or time.monotonic() > deadline:
            return left
        pause(POLL)


def _next(now: datetime, end: datetime) -> datetime | None:
    return min((moment for moment in jobs.next_due(now) if now < moment <= end), default=None)
