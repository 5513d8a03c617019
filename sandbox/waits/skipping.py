"""Waits that skip: one mover of the clock for all of them.

It moves to the next due moment only while the sandbox is settled and none of them is decided, and
stops exactly at the end of each one's span. A wait gets its response after the clock runs again,
unless another wait goes on skipping: its caller may move the clock then.
"""

from __future__ import annotations

import logging
import threading

from django.db import connection

from requests_queue.errors import Conflict
from sandbox.clock import moves
from sandbox.clock.moves import Move
from sandbox.timeline import notification, timeline
from sandbox.timeline.observer import look_until
from sandbox.waits import wait_responses
from sandbox.waits.waiting import Wait, Waits, deliver

logger = logging.getLogger(__name__)

_AGAIN = 0.05  # seconds until the mover tries again, while somebody else moves the clock
_FAILURE_PAUSE = 0.5  # seconds until it tries again after an error


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
            notification.announce()
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
            with Move.begin(moves.WAIT) as move:
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
                if not is_withheld:
                    self._step(move, skipping)
            if is_withheld:
                # An entry that isn't readable yet may decide a wait.
                notification.wait(notification.count(), timeline.WITHHELD_POLL)

    def _step(self, move: Move, skipping: list[Wait]) -> None:
        """Move to the next moment, or end the waits for which there is none."""
        over = [wait for wait in skipping if wait.ends_at is not None and wait.ends_at <= move.now]
        if over:
            self._waits.end(over, wait_responses.WITHIN)
            return
        due = move.next_due()
        idle = [wait for wait in skipping if wait.ends_at is None]
        if due.work is None and idle:
            self._waits.end(idle, wait_responses.IDLE)
            return
        limit = min((wait.ends_at for wait in skipping if wait.ends_at is not None), default=None)
        if limit is not None and (due.first is None or due.first > limit):
            move.step(limit, is_stop=False)
        elif due.first is not None:
            move.step(due.first)

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
