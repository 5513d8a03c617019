"""Reads of the timeline that wait for an entry: one thread of the process serves all of them.

The thread runs while callers wait, and is woken by writes (`sandbox.notification`). It reads the
new entries once, and then the pages of the callers that one of them may be for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from requests_queue import fast_json
from sandbox import api_calls, notification, timeline, wait_responses
from sandbox.deferred import Result
from sandbox.models import TimelineEntry
from sandbox.timeline import Cursor
from sandbox.waiting import MAX_PER_KEY, WITHHELD_POLL, TooManyWaits

logger = logging.getLogger(__name__)

MAX_WAIT = 600.0  # seconds
_BATCH = 1000  # new entries that are compared with filters; with more, all pages are read
_FAILURE_PAUSE = 0.5  # seconds until the thread tries again after an error


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries a page has, and how many at most; empty filters match all."""

    limit: int
    webhook: str = ""
    object: str = ""
    kinds: Sequence[str] = ()

    def page(self, since: Cursor, until: Cursor) -> dict[str, Any]:
        """Return `{"entries", "cursor"}`: the entries after `since`, up to `until`."""
        rows = timeline.between(since, until)
        if self.webhook:
            rows = rows.filter(webhook_id=self.webhook)
        if self.object:
            rows = timeline.about_object(rows, self.object)
        if self.kinds:
            rows = rows.filter(kind__in=self.kinds)
        entries = list(rows[: self.limit])
        # Without more entries, what was filtered out need not be read again.
        last = timeline.cursor_of(entries[-1]) if len(entries) == self.limit else until
        shown = [timeline.represent(entry) for entry in entries]
        return {"entries": shown, "cursor": str(max(since, last))}

    def may_match(self, entry: TimelineEntry) -> bool:
        """Return whether the page may have an entry; only the database knows all its objects."""
        return (
            self.webhook in ("", entry.webhook_id)
            and (not self.object or entry.object_id in (None, self.object))
            and (not self.kinds or entry.kind in self.kinds)
        )


@dataclass(eq=False, slots=True)
class Waiter:
    """A caller that waits for an entry after `position`, or for the deadline (monotonic)."""

    key: str  # of the caller, who may have MAX_PER_KEY waits
    filters: Filters
    position: Cursor
    deadline: float
    future: Future[Result] = field(default_factory=Future)


class TimelineWaits:
    """The waiting callers of this process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiters: list[Waiter] = []
        self._thread: threading.Thread | None = None

    def join(self, waiter: Waiter) -> Future[Result]:
        """Wait; the future gets the page. Raises TooManyWaits."""
        with self._guard:
            self._forget_done()
            if sum(other.key == waiter.key for other in self._waiters) >= MAX_PER_KEY:
                raise TooManyWaits
            self._waiters.append(waiter)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="timeline-waits", daemon=True
                )
                self._thread.start()
        # Also when the client leaves: the thread ends with the last caller.
        waiter.future.add_done_callback(lambda future: notification.announce())
        # The thread reads what has been written since the caller's position.
        notification.announce()
        return waiter.future

    def count(self) -> int:
        """Return how many callers wait."""
        with self._guard:
            self._forget_done()
            return len(self._waiters)

    def _forget_done(self) -> None:
        self._waiters = [each for each in self._waiters if not each.future.done()]

    # The thread.

    def _run(self) -> None:
        try:
            while True:
                seen = notification.count()
                with self._guard:
                    self._forget_done()
                    waiters = list(self._waiters)
                    if not waiters:
                        self._thread = None
                        return
                notification.wait(seen, self._try_turn(waiters))
        finally:
            connection.close()

    def _try_turn(self, waiters: Sequence[Waiter]) -> float:
        """Take a turn; return after how many seconds to take another one without notification."""
        try:
            return _turn(waiters)
        except Exception:
            logger.exception("The timeline could not be read for callers that wait. Trying again.")
            connection.close()
            for waiter in waiters:
                if waiter.deadline <= time.monotonic():
                    _respond(waiter, wait_responses.UNAVAILABLE)
            return _FAILURE_PAUSE


waits = TimelineWaits()


def _turn(waiters: Sequence[Waiter]) -> float:
    """Respond to the callers that have an entry or are past their deadline.

    Return in how many seconds the next deadline is, less if entries are withheld.
    """
    api_calls.flush()
    # Before the read: what is withheld now may be readable by then.
    is_withheld = timeline.is_withheld()
    until, now = timeline.now(), time.monotonic()
    may_match = _matcher(waiters, until)
    for waiter in waiters:
        is_over = waiter.deadline <= now
        if is_over or may_match(waiter):
            page = waiter.filters.page(waiter.position, until)
            if page["entries"] or is_over:
                _respond(waiter, Result(200, "application/json", fast_json.encode(page)))
        waiter.position = max(waiter.position, until)
    left = [each.deadline - time.monotonic() for each in waiters if not each.future.done()]
    return max(0.0, min([*left, WITHHELD_POLL] if is_withheld else left, default=0.0))


def _matcher(waiters: Iterable[Waiter], until: Cursor) -> Callable[[Waiter], bool]:
    """Read the new entries, and return a function that compares them with a caller's filters."""
    first = min(waiter.position for waiter in waiters)
    new = list(timeline.between(first, until).defer("data")[: _BATCH + 1]) if first < until else []
    if len(new) > _BATCH:
        return lambda waiter: True
    return lambda waiter: any(map(waiter.filters.may_match, new))


def _respond(waiter: Waiter, result: Result) -> None:
    try:
        waiter.future.set_result(result)
    except InvalidStateError:
        # The client has left.
        pass
