"""Reads of the timeline that wait for an entry: the observer reads new entries once for all.

Then it reads the pages of the callers that one of them may be for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from requests_queue.api import fast_json
from sandbox.models import TimelineEntry
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.deferred import Result
from sandbox.timeline.observer import LONGEST, Kind, Waiter, observer
from sandbox.timeline.timeline import Cursor

MAX_WAIT = 600.0  # seconds
_BATCH = 1000  # new entries that are compared with filters; with more, all pages are read


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


@dataclass(eq=False, kw_only=True, slots=True)
class Read(Waiter):
    """A caller that waits for an entry after `position`; the future gets the page."""

    filters: Filters
    position: Cursor


class Reads(Kind[Read]):
    """The reads of this process that wait."""

    def turn(self) -> float:
        """Respond to the callers that have an entry or are past their deadline."""
        reads = observer.waiting(self)
        if not reads:
            return LONGEST
        api_calls.flush()
        # Before the read: what is withheld now may be readable by then.
        pause = timeline.WITHHELD_POLL if timeline.is_withheld() else LONGEST
        until, now = timeline.now(), time.monotonic()
        may_match = _matcher(reads, until)
        for read in reads:
            is_over = read.deadline <= now
            if is_over or may_match(read):
                page = read.filters.page(read.position, until)
                if page["entries"] or is_over:
                    read.respond(Result(200, "application/json", fast_json.encode(page)))
            read.position = max(read.position, until)
        return pause


reads = Reads()


def _matcher(reads: Iterable[Read], until: Cursor) -> Callable[[Read], bool]:
    """Read the new entries, and return a function that compares them with a caller's filters."""
    first = min(read.position for read in reads)
    new = list(timeline.between(first, until).defer("data")[: _BATCH + 1]) if first < until else []
    if len(new) > _BATCH:
        return lambda read: True
    return lambda read: any(map(read.filters.may_match, new))
