"""Waits for a condition: the observer reads the timeline once for all of them.

It feeds the new entries to the conditions of all waits, and reads the present once. Waits that skip
share one mover of the clock, which begins all waits. It moves to the next due moment only while the
sandbox is settled and none of them is decided, and stops exactly at the end of each one's span. A
wait without a span ends when no work is left and nobody may act any more (`settling.is_quiet`). A
wait gets its response after the clock runs again, unless another wait goes on skipping: its caller
may move the clock then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from requests_queue import clock
from requests_queue.errors import Conflict
from sandbox.clock import moves, settling
from sandbox.clock.moves import Move
from sandbox.models import TimelineEntry
from sandbox.timeline import api_calls, observer, timeline
from sandbox.timeline.observer import (
    LONGEST,
    UNAVAILABLE,
    Kind,
    Result,
    look_until,
)
from sandbox.timeline.timeline import Cursor
from sandbox.waits import conditions, wait_responses
from sandbox.waits.conditions import Needs, Present
from sandbox.waits.wait_responses import Wait

_BATCH = 1000  # entries that are read at once
_IDLE_POLL = 0.05  # seconds until it is checked again whether the sandbox is idle: settle times end
logger = logging.getLogger(__name__)

_AGAIN = 0.05  # seconds until the mover tries again, while somebody else moves the clock
_FAILURE_PAUSE = 0.5  # seconds until it tries again after an error
_QUIET_POLL = 0.1  # seconds until it checks again whether anybody may still act


def deliver(wait: Wait) -> None:
    """Give a wait its response, unless its client has left."""
    wait.respond(wait.decided or UNAVAILABLE)


class Waits(Kind[Wait]):
    """The waits of a process. Lock order: `moving`, `_turns`, the observer's."""

    def __init__(self) -> None:
        self._position = Cursor()
        # One thread at a time reads the timeline.
        self._turns = threading.Lock()
        # Held by the mover while it steps, and while a wait with a span of platform time begins.
        self.moving = threading.Lock()
        # Gives a wait its response.
        self.deliver: Callable[[Wait], None] = deliver

    def begin(self, wait: Wait) -> None:
        """Begin a wait: its future gets the response, at once if it is known; raises TooManyWaits.

        The caller's thread feeds the entries since the cursor, and the observer's the later ones.
        """
        observer.check_limit(self, wait.owner)
        self._catch_up(wait)
        if wait.within is not None:
            with self.moving:
                wait.ends_at = clock.now() + wait.within
                self._join(wait)
        else:
            self._join(wait)

    def undecided(self) -> list[Wait]:
        """Return the waits without a response."""
        return [wait for wait in observer.waiting(self) if wait.decided is None]

    def turn(self) -> float:
        """Read the new entries and the present once, and decide the waits."""
        with self._turns:
            return self._until_next(*self._decide(self.undecided()))

    def unavailable(self, waiter: Wait) -> None:
        """Respond through the mover, if it moves the clock for the wait."""
        self._respond(waiter, UNAVAILABLE)

    def end(self, waits: Iterable[Wait], reason: str) -> None:
        """Decide waits that the mover has no more moments for."""
        with self._turns:
            self._decide([wait for wait in waits if wait.decided is None], reason)

    def _catch_up(self, wait: Wait) -> None:
        """Feed a wait the entries since its cursor that its condition is about."""
        until = timeline.now()
        about = wait.condition.about()
        while wait.position < until:
            rows = timeline.between(wait.position, until)
            if about is None:
                rows = rows.filter(kind__in=conditions.KINDS)
            else:
                # Often all entries since the last reset, for each of many orders.
                rows = rows.filter(kind=conditions.CHANGE, object_id__in=about)
            chunk = list(rows[:_BATCH])
            wait.feed(_represented(chunk))
            if len(chunk) < _BATCH:
                break
        # Also if nothing was between them.
        wait.position = max(wait.position, until)

    def _join(self, wait: Wait) -> None:
        """Add a wait that has been fed at least what the observer has read, and decide it."""
        with self._turns:
            if not self.undecided():
                self._position = wait.position
            # The observer may have read more meanwhile.
            if wait.position < self._position:
                rows = timeline.between(wait.position, self._position)
                wait.feed(_represented(list(rows)))
                wait.position = self._position
            observer.add(self, wait)
            self._decide([wait])

    def _read(self, until: Cursor) -> None:
        """Feed the new entries up to a cursor of the present to all waits."""
        waits = self.undecided()
        while self._position < until:
            rows = list(timeline.between(self._position, until)[:_BATCH])
            represented = _represented(rows)
            is_reset = any(row.kind == timeline.RESET for row in rows)
            for wait in waits:
                wait.feed(represented)
                wait.was_reset = wait.was_reset or is_reset
            self._position = timeline.cursor_of(rows[-1]) if len(rows) == _BATCH else until

    def _decide(self, waits: Sequence[Wait], reason: str = "") -> tuple[Needs, bool]:
        """Respond to the waits whose verdict is known, or all of them with a `reason`.

        Return what they need of the present, and whether entries were withheld.
        """
        needs = Needs()
        if not waits:
            return needs, False
        for wait in waits:
            needs |= wait.condition.needs()
        now = clock.now()
        api_calls.complete()
        # Before the entries, which then include what has led to the present.
        state = wait_responses.read_present(needs, now)
        until, is_withheld = timeline.present()
        self._read(until)
        for wait in waits:
            # At the end itself, the mover decides when everything due then has happened.
            if reason == wait_responses.WITHIN or (wait.ends_at is not None and now > wait.ends_at):
                wait.has_ended = True
            # The entries that have led to the present may not be readable yet.
            is_early = is_withheld and not reason and time.monotonic() < wait.deadline
            if not is_early or wait.condition.needs() == Needs():
                self._decide_one(wait, state, now, reason)
        return needs, is_withheld

    def _decide_one(self, wait: Wait, state: Present, now: datetime, reason: str) -> None:
        verdict = wait.verdict(state)
        if verdict is True:
            self._respond(wait, wait_responses.satisfied(wait, state, now))
            return
        if verdict is False:
            reason = wait_responses.IMPOSSIBLE
        elif wait.has_ended:
            reason = wait_responses.WITHIN
        elif wait.was_reset:
            reason = wait_responses.RESET
        elif not reason and time.monotonic() >= wait.deadline:
            reason = wait_responses.TIMEOUT
        if reason:
            self._respond(wait, wait_responses.unsatisfied(wait, state, now, reason))

    def _respond(self, wait: Wait, result: Result) -> None:
        wait.decided = result
        self.deliver(wait)

    def _until_next(self, needs: Needs, is_withheld: bool) -> float:
        waits = self.undecided()
        seconds = [LONGEST]
        if ends := [wait.ends_at for wait in waits if wait.ends_at is not None]:
            # Platform time runs like real time, unless the clock is moved, which writes an entry.
            left = (min(ends) - clock.now()).total_seconds()
            seconds.append(max(left, 0.0) + 0.01)
        if waits and needs.idle:
            seconds.append(_IDLE_POLL)
        if waits and is_withheld:
            # What is written later notifies the observer.
            seconds.append(timeline.WITHHELD_POLL)
        return min(seconds)


def _represented(rows: Iterable[TimelineEntry]) -> list[tuple[TimelineEntry, dict[str, Any]]]:
    return [(row, timeline.represent(row)) for row in rows]


class Mover:
    """The mover of a process; its thread runs while there are undecided waits that skip."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        # Decided, but the clock is still being moved.
        self._kept: list[Wait] = []
        waits.deliver = self.deliver

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wait-mover", daemon=True)
                self._thread.start()

    def deliver(self, wait: Wait) -> None:
        """Give a wait its response, once the mover lets it."""
        with self._guard:
            is_kept = wait.skip and self._thread is not None
            if is_kept:
                self._kept.append(wait)
        if is_kept:
            observer.announce()
        else:
            deliver(wait)

    def _run(self) -> None:
        try:
            look_until(self._look)
        finally:
            connection.close()

    def _look(self) -> float | None:
        """Move while there is a wait; return None when there is none left."""
        pause = self._try_move()
        self._deliver_kept()
        with self._guard:
            if not self._kept and not self._skipping():
                self._thread = None
                return None
        return pause

    def _try_move(self) -> float:
        """Move while there is a wait; return how many seconds to pause."""
        if not self._skipping():
            # Decided before this thread could keep its response: its caller may move the clock.
            return 0.0
        try:
            with Move(moves.WAIT) as move:
                move.run_due()
                self._move(move)
        except Conflict:
            return _AGAIN
        except Exception:
            logger.exception("The clock could not be moved for a wait. It is tried again.")
            connection.close()
            return _FAILURE_PAUSE
        return 0.0

    def _move(self, move: Move) -> None:
        while True:
            move.settle(stop=self._is_decided)
            with self._waits.moving:
                # Before the turn, which then reads all entries.
                is_withheld = timeline.is_withheld()
                self._waits.turn()
                skipping = self._skipping()
                if not skipping:
                    return
                if self._kept:
                    # Others go on: these need not wait for the end of the move.
                    self._deliver_kept()
                    continue
                # An entry that isn't readable yet may decide a wait.
                pause = timeline.WITHHELD_POLL if is_withheld else self._step(move, skipping)
            if pause:
                observer.wait(observer.count(), pause)

    def _step(self, move: Move, skipping: list[Wait]) -> float:
        """Move to the next moment, or end the waits for which there is none.

        Return how many seconds to pause before it is tried again.
        """
        over = [wait for wait in skipping if wait.ends_at is not None and wait.ends_at <= move.now]
        if over:
            self._waits.end(over, wait_responses.WITHIN)
            return 0.0
        due = move.next_due()
        idle = [wait for wait in skipping if wait.ends_at is None]
        if due.work is None and idle:
            # The move may have given up waiting for something.
            if not settling.waiting_for(move.now, first=True) and settling.is_quiet():
                self._waits.end(idle, wait_responses.IDLE)
                return 0.0
            if len(idle) == len(skipping):
                return _QUIET_POLL
        limit = min((wait.ends_at for wait in skipping if wait.ends_at is not None), default=None)
        if limit is not None and (due.first is None or due.first > limit):
            move.step(limit, is_stop=False)
        elif due.first is not None:
            move.step(due.first)
        return 0.0

    def _is_decided(self) -> bool:
        """Return whether a wait is decided, or none is left: there is no need to settle."""
        return bool(self._kept) or not self._skipping()

    def _skipping(self) -> list[Wait]:
        return [wait for wait in self._waits.undecided() if wait.skip]

    def _deliver_kept(self) -> None:
        with self._guard:
            kept, self._kept = self._kept, []
        for wait in kept:
            deliver(wait)


waits = Waits()
mover = Mover(waits)


def begin(wait: Wait) -> None:
    """Begin a wait; raises TooManyWaits."""
    waits.begin(wait)
    if wait.skip and wait.decided is None:
        mover.start()
