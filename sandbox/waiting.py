"""The waits of this process: one thread reads the timeline once for all of them.

The observer's thread is woken by writes (`sandbox.notification`), reads the new entries once, feeds
them to the conditions of all waits, and reads the present once. It runs while there are waits.
Waits that skip share one mover of the clock (`sandbox.skipping`), which begins all waits.
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
from requests_queue.errors import Refused
from sandbox import api_calls, conditions, notification, present, timeline, wait_responses
from sandbox.conditions import Needs, Present
from sandbox.deferred import Result
from sandbox.models import TimelineEntry
from sandbox.timeline import Cursor
from sandbox.wait import Wait, deliver

logger = logging.getLogger(__name__)

MAX_PER_KEY = 500  # waits of an API key at the same time
_BATCH = 1000  # entries that are read at once
_FAILURE_PAUSE = 0.5  # seconds until the observer tries again after an error
_IDLE_POLL = 0.05  # seconds until it checks again whether the sandbox is idle: settle times end
WITHHELD_POLL = 0.02  # seconds until it reads entries again that were withheld


class TooManyWaits(Refused):
    """The API key has MAX_PER_KEY waits already (429)."""

    status = 429

    def __init__(self) -> None:
        text = f"At most {MAX_PER_KEY} waits of an API key at the same time. Try again later."
        super().__init__("WAIT_002", text)


class Waits:
    """The waits of a process. Lock order: `moving`, `_turns`, `_guard`."""

    def __init__(self) -> None:
        self._waits: dict[Wait, None] = {}
        self._position = Cursor()
        self._observer: threading.Thread | None = None
        self._guard = threading.Lock()
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
        with self._guard:
            self._check_limit(wait)
        self._catch_up(wait)
        if wait.within is not None:
            with self.moving:
                wait.ends_at = clock.now() + wait.within
                self._join(wait)
        else:
            self._join(wait)
        wait.future.add_done_callback(lambda future: self._leave(wait))
        self._turn_for(wait)
        with self._guard:
            if wait.decided is None and self._observer is None:
                self._observer = threading.Thread(
                    target=self._observe, name="wait-observer", daemon=True
                )
                self._observer.start()
        # The observer computes how long it may sleep.
        notification.announce()

    def undecided(self) -> list[Wait]:
        """Return the waits without a response."""
        with self._guard:
            return [wait for wait in self._waits if wait.decided is None]

    def turn(self) -> float:
        """Read the new entries and the present once, and decide the waits.

        Return after how many seconds to check again, if nothing is written until then.
        """
        with self._turns:
            needs = self._decide(self.undecided())
            return self._until_next(needs)

    def end(self, waits: Iterable[Wait], reason: str) -> None:
        """Decide waits that the mover has no more moments for."""
        with self._turns:
            self._decide([wait for wait in waits if wait.decided is None], reason)

    def _turn_for(self, wait: Wait) -> None:
        """Decide a new wait in the thread of its request."""
        with self._turns:
            self._decide([wait])

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
        """Add a wait that has been fed at least what the observer has read."""
        with self._turns:
            if not self._waits:
                self._position = wait.position
            # The observer may have read more meanwhile.
            if wait.position < self._position:
                rows = timeline.between(wait.position, self._position)
                wait.feed(_represented(list(rows)))
                wait.position = self._position
            with self._guard:
                # Again, since others may have begun meanwhile.
                self._check_limit(wait)
                self._waits[wait] = None

    def _check_limit(self, wait: Wait) -> None:
        if sum(other.key == wait.key for other in self._waits) >= MAX_PER_KEY:
            raise TooManyWaits

    def _leave(self, wait: Wait) -> None:
        """Forget a wait that has its response, or whose client left."""
        with self._guard:
            self._waits.pop(wait, None)
        notification.announce()

    def _read(self) -> None:
        """Feed the new entries to all waits."""
        until = timeline.now()
        waits = self.undecided()
        while self._position < until:
            rows = list(timeline.between(self._position, until)[:_BATCH])
            represented = _represented(rows)
            is_reset = any(row.kind == timeline.RESET for row in rows)
            for wait in waits:
                wait.feed(represented)
                wait.was_reset = wait.was_reset or is_reset
            self._position = timeline.cursor_of(rows[-1]) if len(rows) == _BATCH else until

    def _decide(self, waits: Sequence[Wait], reason: str = "") -> Needs:
        """Respond to the waits whose verdict is known, or all of them with a `reason`.

        Return what they need of the present.
        """
        needs = Needs()
        for wait in waits:
            needs |= wait.condition.needs()
        now = clock.now()
        api_calls.flush()
        # Before the entries, which then include what has led to the present.
        state = present.read(needs, now)
        is_withheld = needs != Needs() and timeline.is_withheld()
        self._read()
        for wait in waits:
            # At the end itself, the mover decides when everything due then has happened.
            if reason == wait_responses.WITHIN or (wait.ends_at is not None and now > wait.ends_at):
                wait.has_ended = True
            # The entries that have led to the present may not be readable yet.
            is_early = is_withheld and not reason and time.monotonic() < wait.deadline
            if not is_early or wait.condition.needs() == Needs():
                self._decide_one(wait, state, now, reason)
        return needs

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

    def _until_next(self, needs: Needs) -> float:
        waits = self.undecided()
        if not waits:
            return 0.0
        seconds = [min(wait.deadline for wait in waits) - time.monotonic()]
        if ends := [wait.ends_at for wait in waits if wait.ends_at is not None]:
            # Platform time runs like real time, unless the clock is moved, which writes an entry.
            left = (min(ends) - clock.now()).total_seconds()
            seconds.append(max(left, 0.0) + 0.01)
        if needs.idle:
            seconds.append(_IDLE_POLL)
        if timeline.is_withheld():
            seconds.append(WITHHELD_POLL)
        return max(0.0, min(seconds))

    def _observe(self) -> None:
        """Take turns while there are waits: the observer's thread."""
        try:
            while True:
                seen = notification.count()
                seconds = self._try_turn()
                with self._guard:
                    if not any(wait.decided is None for wait in self._waits):
                        self._observer = None
                        return
                notification.wait(seen, seconds)
        finally:
            connection.close()

    def _try_turn(self) -> float:
        try:
            return self.turn()
        except Exception:
            logger.exception("The waits could not be observed. They are tried again.")
            connection.close()
            for wait in self.undecided():
                if time.monotonic() >= wait.deadline:
                    self._respond(wait, wait_responses.UNAVAILABLE)
            return _FAILURE_PAUSE


def _represented(rows: Iterable[TimelineEntry]) -> list[tuple[TimelineEntry, dict[str, Any]]]:
    return [(row, timeline.represent(row)) for row in rows]
