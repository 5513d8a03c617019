"""Moving the platform's time: from one due moment to the next, and what is due runs.

A ladder of retries that takes a day runs in seconds, each attempt at its own simulated moment.
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
from requests_queue.signals import run_due_wanted

WAIT_FOR_CALLS = 10.0  # real seconds that a move waits for calls under way
# Seconds of the database's wall clock after which a move whose process is gone is over: the
# clocks of the processes' machines may differ.
LEASE = 30.0
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did: from when to when, at how many due moments it stopped, and which of the
    platform's jobs failed on the way."""

    start: datetime
    end: datetime
    stops: int
    failed: list[str]


def advance(span: timedelta, *, pause: Callable[[float], Any] = time.sleep) -> Moved:
    """Move the platform's time forward by `span`, running what falls due on the way.

    Raises Conflict (409) while another move is under way.
    """
    start = _begin()
    end = start + span
    hanging: set[str] = set()
    failed: set[str] = set()
    stops = 0
    now = start
    try:
        with _renewed():
            while True:
                failed.update(jobs.run_due(now))
                hanging |= _settle(now, hanging, pause)
                following = _next(now, end)
                if following is None:
                    break
                now = following
                stops += 1
                _freeze(now)
            now = end
            _freeze(end)
            failed.update(jobs.run_due(end))
            _settle(end, hanging, pause)
    finally:
        _release(now)
    return Moved(start, now, stops, sorted(failed))


def reading() -> tuple[datetime, bool]:
    """Return the platform's time, and whether a move is under way."""
    moving = Clock.objects.filter(pk=1, moving_lease__gt=DatabaseTime()).exists()
    return clock.now(), moving


def _begin() -> datetime:
    """Take the clock and stop it; one move at a time, by a filtered UPDATE."""
    Clock.objects.get_or_create(pk=1)
    with transaction.atomic():
        taken = Clock.objects.filter(pk=1, moving_lease__lt=DatabaseTime()).update(
            moving_lease=DatabaseTime() + LEASE
        )
        if not taken:
            raise Conflict("CLK_001", "The clock is being moved already; wait until it stands.")
        # Read with the row locked: a move that ended just now has left another time.
        start = clock.now()
        _freeze(start)
    return start


def _freeze(moment: datetime) -> None:
    Clock.objects.filter(pk=1).update(frozen_at=moment)


def _release(moment: datetime, **held: float) -> None:
    """Let time go on from `moment`."""
    Clock.objects.filter(pk=1, **held).update(
        frozen_at=None, moving_lease=0, offset=moment - datetime.now(UTC)
    )


@receiver(run_due_wanted)
def recover(**kwargs: Any) -> None:
    """Let time go on where a mover was killed, once its lease has passed.

    Asked by the scheduler as well as at the start: a start soon after the kill would find the
    lease still running, and time would stand until the next move.
    """
    row = Clock.objects.filter(
        pk=1, frozen_at__isnull=False, moving_lease__lt=DatabaseTime()
    ).first()
    if row is not None and row.frozen_at is not None:
        # Only that move's: another one may have begun meanwhile.
        _release(row.frozen_at, moving_lease=row.moving_lease)


@contextmanager
def _renewed() -> Any:
    """Prolong the lease of a move while it lasts."""
    over = threading.Event()

    def renew() -> None:
        from django.db import connection

        while not over.wait(LEASE / 3):
            # Not one that has been released: another process took the move for dead.
            held = Clock.objects.filter(pk=1, moving_lease__gt=0)
            held.update(moving_lease=DatabaseTime() + LEASE)
        connection.close()

    thread = threading.Thread(target=renew, name="clock-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _settle(now: datetime, hanging: set[str], pause: Callable[[float], Any]) -> set[str]:
    """Let time stand still until nothing is due or under way; return what still hangs then."""
    deadline = time.monotonic() + WAIT_FOR_CALLS
    while True:
        left = jobs.unsettled(now) - hanging
        if not left or time.monotonic() > deadline:
            return left
        pause(POLL)


def _next(now: datetime, end: datetime) -> datetime | None:
    return min((moment for moment in jobs.next_due(now) if now < moment <= end), default=None)
