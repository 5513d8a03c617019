"""Move the sandbox's clock forward, from one due time to the next, and run what is due.

A day of retries takes seconds, each attempt at its own simulated time. At each stop a move waits
until the sandbox is settled (`sandbox.settling`), for up to `patience` seconds of real time; then
it goes on, and doesn't wait for the same again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, Q

from requests_queue.models import Clock
from requests_queue.signals import due_reached
from requests_queue.sql import DatabaseTime
from requests_queue.time_format import format_ahead
from sandbox import moves
from sandbox.moves import IDLE_MAX, MAX_STEPS, Move, MoveResult

# Seconds by which time counts as ahead of real time.
_AHEAD = 1.0


class ClockState(NamedTuple):
    """The platform time, whether it is being moved or frozen, and its offset."""

    now: datetime
    moving: bool
    frozen: bool
    offset: timedelta


def advance(
    duration: timedelta, *, patience: float | None = None, settle: float | None = None
) -> MoveResult:
    """Move the platform time forward by `duration`, and run what becomes due; 0: what is due now.

    Raises Conflict (409) during another move.
    """
    with Move.begin(moves.ADVANCE, patience=patience, settle=settle) as move:
        end = move.start + duration
        move.run_due()
        move.settle()
        # Nothing can become due within no time.
        while move.now < end and (stop := move.next_stop(end)) is not None:
            move.step(stop)
            move.settle()
        if move.now < end:
            move.step(end, is_stop=False)
            move.settle()
        return move.result(moves.END)


def run_next(*, patience: float | None = None, settle: float | None = None) -> MoveResult:
    """Move to the next due attempt and through it; what is due already runs first.

    Raises Conflict (409) during another move.
    """
    with Move.begin(moves.NEXT, patience=patience, settle=settle) as move:
        move.run_due()
        move.settle()
        attempts = move.count_attempts()
        while move.stops < MAX_STEPS:
            due = move.next_due()
            if due.work is None or due.first is None:
                return move.result(moves.IDLE)
            move.step(due.first)
            move.settle()
            if move.count_attempts() > attempts:
                return move.result(moves.END)
        return move.result(moves.STEPS)


def run_until_idle(
    longest: timedelta = IDLE_MAX,
    max_steps: int = MAX_STEPS,
    *,
    patience: float | None = None,
    settle: float | None = None,
) -> MoveResult:
    """Move from one due time to the next until no work is left, at most by `longest`.

    Recurring and planned jobs of the platform run on the way, but are no work that is left.
    Raises Conflict (409) during another move.
    """
    with Move.begin(moves.RUN_UNTIL_IDLE, patience=patience, settle=settle) as move:
        limit = move.start + longest
        move.run_due()
        move.settle()
        while True:
            due = move.next_due()
            if due.work is None or due.first is None:
                return move.result(moves.IDLE)
            if due.first > limit:
                move.step(limit, is_stop=False)
                move.settle()
                return move.result(moves.MAX)
            if move.stops >= max_steps:
                return move.result(moves.STEPS)
            move.step(due.first)
            move.settle()


def read() -> ClockState:
    """Return the state of the clock, which runs again if a moving process was killed."""
    state = _read()
    if state.frozen and not state.moving:
        recover()
        state = _read()
    return state


def _read() -> ClockState:
    moving = ExpressionWrapper(Q(moving_lease__gt=DatabaseTime()), BooleanField())
    rows = Clock.objects.filter(pk=1).annotate(moving=moving)
    row = rows.values_list("moving", "frozen_at", "offset").first()
    real = datetime.now(UTC)
    if row is None:
        return ClockState(real, False, False, timedelta())
    is_moving, frozen_at, offset = row
    now = frozen_at or real + offset
    return ClockState(now, is_moving, frozen_at is not None, now - real)


def ahead(now: datetime) -> str:
    """Return a sentence that says by how much platform time is ahead of real time; or nothing."""
    seconds = (now - datetime.now(UTC)).total_seconds()
    if seconds < _AHEAD:
        return ""
    return f"Platform time is {format_ahead(seconds)} ahead of real time."


@due_reached.connect
def recover(*, is_alone: bool = False, **kwargs: Any) -> None:
    """Let the clock run again if a moving process was killed and its lease has expired.

    `is_alone` says that no other process may move it, so that the lease needn't have expired: at
    the start. The scheduler runs it, too.
    """
    if moves.alive:
        return
    rows = Clock.objects.filter(pk=1, frozen_at__isnull=False)
    row = (rows if is_alone else rows.filter(moving_lease__lt=DatabaseTime())).first()
    if row is not None and row.frozen_at is not None:
        # Filtered by that lease: another move may have begun.
        moves.release(row.frozen_at, moving_lease=row.moving_lease)
