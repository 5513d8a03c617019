"""The lines that `make run` prints: one per attempt and per API call, while they happen."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TextIO

from django.db import connection
from django.db.models import Count, QuerySet

from checks.outputs import terminal_lines
from checks.outputs.terminal_lines import Limiter
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import observer, timeline
from sandbox.timeline.observer import LONGEST, look_until
from sandbox.timeline.timeline import Cursor
from webhooks.models import Event

logger = logging.getLogger(__name__)

BATCH = 0.1  # seconds during which new entries are collected
RETRY = 1.0  # seconds until the next try if the database is unavailable
_STOP_TIMEOUT = 2.0


class Terminal:
    """Follows the timeline in a thread, and prints what happens from its creation on."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._is_colored = self._out.isatty() and not os.environ.get("NO_COLOR")
        self._limiter = Limiter()
        self._date = datetime.now(UTC).date()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._cursor = timeline.now()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Print the rest and end the thread."""
        self._stopped.set()
        observer.announce()
        self._thread.join(_STOP_TIMEOUT)

    def is_running(self) -> bool:
        """Return whether the thread is alive."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            look_until(self._look)
            self._try_to_print()
        except (OSError, ValueError):
            # Standard output is closed.
            logger.debug("The terminal is closed.", exc_info=True)
        finally:
            connection.close()

    def _look(self) -> float | None:
        """Print what is new; return after how many seconds to look again, None after the stop."""
        if self._stopped.wait(BATCH):
            return None
        if not self._try_to_print():
            return RETRY
        remaining = self._limiter.remaining(time.monotonic())
        return LONGEST if remaining is None else remaining

    def _try_to_print(self) -> bool:
        """Print what is new; return False if the database is unavailable."""
        try:
            lines = list(self._new_lines())
        except Exception:
            logger.debug("The timeline cannot be read.", exc_info=True)
            connection.close()
            return False
        # Outside: an error of the output ends the thread.
        if lines:
            self._out.write("".join(f"{line}\n" for line in lines))
            self._out.flush()
        return True

    def _new_lines(self) -> Iterator[str]:
        """Yield the lines of new entries, as many as allowed, and move the cursor."""
        now = time.monotonic()
        if summary := self._limiter.summary(now):
            yield summary
        end = timeline.now()
        if end == self._cursor:
            return
        rows = _shown(self._cursor, end)
        allowed = self._limiter.allowed(now)
        entries = list(rows[:allowed])
        if len(entries) == allowed:
            self._leave_out(rows, entries)
        changes = _changes(entry for entry in entries if entry.kind == timeline.ATTEMPT_FINISHED)
        for entry in entries:
            yield from self._lines(entry, changes)
        self._limiter.printed(len(entries))
        self._cursor = end

    def _leave_out(self, rows: QuerySet[TimelineEntry], printed: list[TimelineEntry]) -> None:
        counts = dict(
            rows.order_by()
            .values_list("kind")
            .annotate(count=Count("pk"))
            .values_list("kind", "count")
        )
        for entry in printed:
            counts[entry.kind] -= 1
        self._limiter.leave_out(
            counts.get(timeline.ATTEMPT_FINISHED, 0), counts.get(timeline.API_CALL, 0)
        )

    def _lines(self, entry: TimelineEntry, changes: dict[int, list[str]]) -> Iterator[str]:
        if entry.kind == timeline.API_CALL:
            line = terminal_lines.api_call(entry.at, entry.webhook_id is not None, entry.data)
        else:
            texts = changes.get(entry.delivery_id or 0, [])
            line = terminal_lines.attempt(entry.at, entry.webhook_id, texts, entry.data)
        date = entry.at.astimezone(UTC).date()
        if date != self._date:
            self._date = date
            yield f"-- {date} --"
        yield terminal_lines.paint(*line) if self._is_colored else line[0]


def _shown(start: Cursor, end: Cursor) -> QuerySet[TimelineEntry]:
    """Return the attempts, and the API calls that are not a tester's, between two cursors."""
    kinds = (timeline.ATTEMPT_FINISHED, timeline.API_CALL)
    rows = timeline.between(start, end).filter(kind__in=kinds)
    return rows.exclude(kind=timeline.API_CALL, data__actor=ApiCall.TEST)


def _changes(entries: Iterable[TimelineEntry]) -> dict[int, list[str]]:
    """Return the changes of the events of each delivery, as text, newest first."""
    ids = {entry.delivery_id for entry in entries if entry.delivery_id is not None}
    changes: dict[int, list[str]] = {}
    for event in Event.objects.filter(delivery__in=ids).exclude(object_id=""):
        changes.setdefault(event.delivery_id, []).append(f"{event.object_id} {event.change}")
    return changes
