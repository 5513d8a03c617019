"""A move of the sandbox's clock: it steps to due moments, and waits at each for what follows.

A `Move` is one step by step; `advance`, `run_next` and `run_until_idle` run it for the API and the
pages, and `sandbox.waits.waiting` for waits that skip.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Self

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q

from requests_queue import clock, jobs, topics
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Untrusted
from requests_queue.clock import Reading
from requests_queue.db import background_work
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict
from requests_queue.models import Clock
from requests_queue.signals import due_reached
from requests_queue.time_format import format_ahead
from sandbox.clock import settling
from sandbox.clock.settling import UNSETTLED, Unsettled
from sandbox.models import TimelineEntry
from sandbox.timeline import observer, timeline
from sandbox.timeline.observer import look_until
from sandbox.timeline.timeline import Entry, Moment, moment
from webhooks.delivery import engine

PATIENCE, MAX_PATIENCE = 10.0, 600.0  # real seconds that a move waits at each stop
# Seconds of the database's wall clock after which a move of a dead process has expired; the
# clocks of the machines may differ. It is renewed four times as often.
LEASE = 5.0
MAX_STEPS = 1000
IDLE_MAX = timedelta(days=3)
MAX_ATTEMPTS = 10_000  # that an answer lists

END, IDLE, MAX, STEPS = "end", "idle", "max", "max_steps"
ADVANCE, NEXT, RUN_UNTIL_IDLE, WAIT = "advance", "next", "run-until-idle", "wait"


# The moves of this process. Their lease may expire while SQLite lets all writes wait.
alive: set[Move] = set()
# Seconds by which time counts as ahead of real time.
_AHEAD = 1.0


class NextDue(NamedTuple):
    """The next moment of pending work, and the next stop, which may be a recurring job."""

    work: datetime | None
    first: datetime | None


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What a move did.

    `stops` counts the due times on the way. `attempts` are the entries of the attempts that
    finished. `failed` names the jobs that failed.
    """

    start: datetime
    end: datetime
    stops: int
    stopped_because: str
    attempts: list[TimelineEntry] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def _of_data(name: str, type: Any) -> Field:
    """Return the field of a value in the data of an entry of the timeline."""
    return Field(type, lambda entry: entry.data[name])


MOVED = Part(
    "Moved",
    "What a move of the clock did; `stops` counts the due times on its way.",
    {
        "from": moment("start"),
        "now": moment("end"),
        "stops": int,
        "attempts": Many(
            Part(
                "MovedAttempt",
                "An attempt that ended during a move.",
                {
                    "webhook": Field(str, "webhook_id"),
                    "delivery": Field(int, "delivery_id"),
                    "attempt": int,
                    "object": Field(str | None, "object_id"),
                    "objects": _of_data("objects", list[str]),
                    "at": moment("at"),
                    "outcome": _of_data("outcome", str),
                    "status": _of_data("status", int | None),
                    "error": _of_data("error", Untrusted),
                    "next_attempt_at": _of_data("next_attempt_at", Moment | None),
                },
            ),
            attrgetter("attempts"),
        ),
        "stopped_because": Literal["end", "idle", "max_steps", "max"],
        "unsettled": Many(UNSETTLED, attrgetter("unsettled")),
        "failed": list[str],
    },
)


class Move:
    """One move of the clock, which is frozen between its steps; a context manager.

    It takes the clock's lease, which a thread renews until its end; raises Conflict (409) during
    another move. Steps raise Conflict after a reset or restore, which ends the move. `patience` is
    in real seconds; `settle` replaces the settle times of all handlers (seconds).
    """

    def __init__(
        self, action: str, *, patience: float | None = None, settle: float | None = None
    ) -> None:
        self.stops = 0
        self.failed: set[str] = set()
        self.unsettled: list[Unsettled] = []
        self._action, self._settle = action, settle
        self._patience = PATIENCE if patience is None else patience
        # What was still unsettled when a stop ended its wait.
        self._ignored: set[Hashable] = set()
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="clock-lease", daemon=True)
        if action != WAIT:
            # Attempts of the move, which a wait doesn't ask for, are those after the cursor, except
            # the ones that are there already.
            self._cursor = timeline.now()
            self._earlier = set(self._attempt_entries().values_list("pk", flat=True))
        self.start, self._generation = _begin()
        self.now = self.start

    def __enter__(self) -> Self:
        alive.add(self)
        try:
            self._renewal.start()
        except BaseException:
            alive.discard(self)
            release(self.start, frozen_at=self.start)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Let the clock run again from the last step."""
        self._ended.set()
        self._renewal.join()
        alive.discard(self)
        # Filtered: a reset has ended the move, and another one may have begun.
        release(self.now, frozen_at=self.now)

    def run_due(self) -> None:
        """Run the jobs that are due now, and wake the engine."""
        try:
            with background_work.running(self._generation):
                self.failed.update(jobs.run_due_jobs(self.now))
        except background_work.Replaced:
            raise _was_reset() from None
        engine.wake()

    def settle(
        self, patience: float | None = None, *, stop: Callable[[], bool] = lambda: False
    ) -> list[Unsettled]:
        """Wait until the sandbox is settled; return what is left after `patience` seconds.

        `stop` is asked at each entry of the timeline: the wait ends when it returns True.
        """
        deadline = time.monotonic() + (self._patience if patience is None else patience)
        looked_at: int | None = None

        def look() -> float | None:
            nonlocal looked_at
            if background_work.generation() != self._generation:
                raise _was_reset()
            seen = observer.count()
            left = self.waiting_for(first=True)
            if stop() or (not left and (looked_at == seen or not settling.has_other_processes())):
                return None
            if any(each.kind == settling.DUE for each in left):
                engine.wake()
            if left:
                return min(each.seconds for each in left)
            # Other processes report the end of API calls a little later.
            looked_at = seen
            return settling.REPORTED

        return [] if look_until(look, deadline) else self._give_up()

    def waiting_for(self, *, first: bool = False) -> list[Unsettled]:
        """Return what has to happen before the next step, or with `first` some of it."""
        ignored = frozenset(self._ignored)
        return settling.waiting_for(self.now, settle=self._settle, ignored=ignored, first=first)

    def _give_up(self) -> list[Unsettled]:
        left = self.waiting_for()
        self.unsettled += left
        self._ignored.update(*(each.keys for each in left))
        return left

    def next_due(self) -> NextDue:
        """Return the next moments at which something is due."""
        work, other = jobs.next_work(self.now), jobs.next_due(self.now)
        return NextDue(work, min((at for at in (work, other) if at), default=None))

    def step(self, moment: datetime, *, is_stop: bool = True) -> None:
        """Move the clock to a moment and run what is due then; never backward."""
        if moment > self.now:
            data = {
                "action": self._action,
                "from": timeline.format_time(self.now),
                "to": timeline.format_time(moment),
            }
            with transaction.atomic():
                _freeze(moment, frozen_at=self.now)
                timeline.append([Entry(timeline.CLOCK, moment, data=data)])
                topics.announce(None, topics.EVERYTHING)
            self.now = moment
            self.stops += is_stop
        self.run_due()

    def count_attempts(self) -> int:
        """Return how many starts and ends of attempts, and of tasks, were written meanwhile."""
        kinds = (timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED, timeline.TASK)
        return settling.after(self._cursor, kinds).count()

    def result(self, stopped_because: str) -> MoveResult:
        rows = self._attempt_entries().exclude(pk__in=self._earlier)[:MAX_ATTEMPTS]
        return MoveResult(
            self.start,
            self.now,
            self.stops,
            stopped_because,
            list(rows),
            self.unsettled,
            sorted(self.failed),
        )

    def _attempt_entries(self) -> Any:
        return settling.after(self._cursor).filter(kind=timeline.ATTEMPT_FINISHED)

    def _renew(self) -> None:
        """Renew the lease until the move ends."""
        while not self._ended.wait(LEASE / 4):
            # Not a released lease: another process may have recovered the clock.
            held = Clock.objects.filter(pk=1, moving_lease__gt=0, frozen_at=self.now)
            try:
                held.update(moving_lease=DatabaseTime() + LEASE)
            except DatabaseError:
                # Tried again with a new connection, before the lease ends.
                connection.close()
        connection.close()


def _begin() -> Reading:
    """Acquire the clock's lease by a filtered UPDATE, and freeze the clock."""
    Clock.objects.get_or_create(pk=1)
    with transaction.atomic():
        taken = Clock.objects.filter(pk=1, moving_lease__lt=DatabaseTime()).update(
            moving_lease=DatabaseTime() + LEASE
        )
        if not taken:
            raise Conflict("CLK_001", "The clock is already being moved. Try again later.")
        # Read with the row locked: a move that has just ended has changed the time.
        reading = clock.read()
        _freeze(reading.now)
    return reading


def _freeze(moment: datetime, **held: Any) -> None:
    """Freeze the clock; raises Conflict if a reset has ended the move that `held` it."""
    if not Clock.objects.filter(pk=1, **held).update(frozen_at=moment):
        raise _was_reset()


def _was_reset() -> Conflict:
    return Conflict(
        "CLK_002",
        "The sandbox was reset or restored, or the lease of the clock was not renewed for "
        f"{LEASE:g} s, which has ended this move.",
    )


def release(moment: datetime, **held: Any) -> None:
    """Let the clock run again from `moment`."""
    Clock.objects.filter(pk=1, **held).update(
        frozen_at=None, moving_lease=0, offset=moment - datetime.now(UTC)
    )
    topics.announce(None, topics.EVERYTHING)


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
    with Move(ADVANCE, patience=patience, settle=settle) as move:
        end = move.start + duration
        move.run_due()
        move.settle()
        # Nothing can become due within no time.
        while move.now < end and (stop := move.next_due().first) is not None and stop <= end:
            move.step(stop)
            move.settle()
        if move.now < end:
            move.step(end, is_stop=False)
            move.settle()
        return move.result(END)


def run_next(*, patience: float | None = None, settle: float | None = None) -> MoveResult:
    """Move to the next due attempt, or task, and through it; what is due already runs first.

    Raises Conflict (409) during another move.
    """
    with Move(NEXT, patience=patience, settle=settle) as move:
        move.run_due()
        move.settle()
        attempts = move.count_attempts()
        while move.stops < MAX_STEPS:
            due = move.next_due()
            if due.work is None or due.first is None:
                return move.result(IDLE)
            move.step(due.first)
            move.settle()
            if move.count_attempts() > attempts:
                return move.result(END)
        return move.result(STEPS)


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
    with Move(RUN_UNTIL_IDLE, patience=patience, settle=settle) as move:
        limit = move.start + longest
        move.run_due()
        move.settle()
        while True:
            due = move.next_due()
            if due.work is None or due.first is None:
                return move.result(IDLE)
            if due.first > limit:
                move.step(limit, is_stop=False)
                move.settle()
                return move.result(MAX)
            if move.stops >= max_steps:
                return move.result(STEPS)
            move.step(due.first)
            move.settle()


def clock_state() -> ClockState:
    """Return the state of the clock, which runs again if a moving process was killed."""
    state = read()
    if state.frozen and not state.moving:
        recover()
        state = read()
    return state


def read() -> ClockState:
    """Return the state of the clock, which may be that of a moving process that was killed."""
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
    if alive:
        return
    rows = Clock.objects.filter(pk=1, frozen_at__isnull=False)
    row = (rows if is_alone else rows.filter(moving_lease__lt=DatabaseTime())).first()
    if row is not None and row.frozen_at is not None:
        # Filtered by that lease: another move may have begun.
        release(row.frozen_at, moving_lease=row.moving_lease)
