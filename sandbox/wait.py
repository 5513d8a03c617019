"""One wait: its condition, how long it lasts, and its response."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox import timeline
from sandbox.conditions import Condition, Present, Verdict
from sandbox.deferred import Result
from sandbox.models import TimelineEntry
from sandbox.observer import UNAVAILABLE, Waiter
from sandbox.timeline import Cursor


@dataclass(eq=False, kw_only=True, slots=True)
class Wait(Waiter):
    """A wait: its condition, from where, and how long; `timeout` in real seconds.

    `within` is a span of platform time, `ends_at` its end. `position` is the cursor up to which the
    condition has been fed. The wait is `decided` once its response is known, `has_ended` when
    everything within its span has happened, and `was_reset` when the world has been replaced.
    """

    condition: Condition
    since: Cursor
    timeout: float
    skip: bool = False
    within: timedelta | None = None
    began: float = field(default_factory=time.monotonic)
    position: Cursor = field(init=False)
    ends_at: datetime | None = None
    has_ended: bool = False
    was_reset: bool = False
    decided: Result | None = None

    def __post_init__(self) -> None:
        self.position = self.since
        self.deadline = self.began + self.timeout

    def feed(self, rows: Iterable[tuple[TimelineEntry, dict[str, Any]]]) -> None:
        """Feed entries and their representations to the condition, each once."""
        for row, entry in rows:
            cursor = timeline.cursor_of(row)
            if cursor <= self.position:
                continue
            self.position = cursor
            if self.ends_at is not None and row.at > self.ends_at:
                self.has_ended = True
            if not self.has_ended:
                self.condition.feed(entry)

    def verdict(self, now: Present) -> Verdict:
        """Return whether the condition is true."""
        return self.condition.verdict(now, ended=self.has_ended)


def deliver(wait: Wait) -> None:
    """Give a wait its response, unless its client has left."""
    wait.respond(wait.decided or UNAVAILABLE)
