"""Settle times: how long a handler may still work after its response; learned from the timeline.

A good handler responds at once and works afterwards. How long it takes until it calls the API is
learned per handler URL: twice the longest gap seen between a 2xx response and the next API call
of the same attempt, or between two of its API calls. A gap longer than MAX_GAP is not a reaction
of the handler, for example a call of its author, and is ignored.

A wait that ends because nothing is left to happen gives a handler longer: its grace period.

A failed attempt needs no settle time, so that the retries to a dead handler run at full speed;
neither does a validator's response, since a validator has done its work when it responds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

FACTOR = 2.0
SHORTEST, LONGEST = 0.05, 5.0  # seconds
UNKNOWN = 1.0  # seconds, while nothing is known about a handler
MAX_GAP = 10.0  # seconds
MAX_FIXED = 60.0  # seconds
_ATTEMPTS = 2000  # whose API calls are recognized
_URLS = 2000  # whose settle times are kept


class Entry(Protocol):
    """What is read of an entry of the timeline."""

    kind: str
    real_at: datetime
    delivery_id: int | None
    attempt: int | None
    data: Mapping[str, Any]


Key = tuple[int | None, int | None]


@dataclass(slots=True)
class _Attempt:
    """An attempt: its URL, its start, and the real time of its 2xx response or last API call."""

    url: str
    started: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """A 2xx response of a handler, or the end of an API call of it."""

    url: str
    attempt: Key


class Learner:
    """Settle times by URL, folded from the entries of the timeline in their order."""

    def __init__(self) -> None:
        # Seconds.
        self.gaps: OrderedDict[str, float] = OrderedDict()
        self.fixed: dict[str, float] = {}
        self._attempts: OrderedDict[Key, _Attempt] = OrderedDict()

    def feed(self, entry: Entry) -> Activity | None:
        """Take an entry into account; return what it says about the activity of a handler."""
        if entry.kind == "api_call":
            return self._feed_call(entry)
        if entry.kind in ("attempt_started", "attempt_finished"):
            return self._feed_attempt(entry)
        if entry.kind == "clock" and entry.data.get("action") == "settle":
            self._fix(entry.data["url"], entry.data["ms"])
        return None

    def settle_time(self, url: str, default: float | None = None) -> float:
        """Return the settle time of a URL in seconds; `default` replaces what was learned."""
        if url in self.fixed:
            return self.fixed[url]
        if default is not None:
            return default
        gap = self.gaps.get(url)
        return UNKNOWN if gap is None else min(max(FACTOR * gap, SHORTEST), LONGEST)

    def grace_period(self, url: str, default: float | None = None) -> float:
        """Return for how many seconds after its last activity a handler may still act.

        Unless its settle time is fixed, it may pause for MAX_GAP, however quick its calls were so
        far: a wait that ends too early fails a test.
        """
        seconds = self.fixed.get(url, default)
        if seconds is None:
            seconds = max(FACTOR * self.gaps.get(url, 0.0), MAX_GAP)
        return max(seconds, UNKNOWN)

    def _feed_attempt(self, entry: Entry) -> Activity | None:
        if entry.data.get("type", "event") != "event" and not entry.data.get("forced"):
            # A validator.
            return None
        key = (entry.delivery_id, entry.attempt)
        url = str(entry.data.get("url", ""))
        attempt = self._attempts.get(key)
        if attempt is None or attempt.url != url:
            attempt = self._attempts[key] = _Attempt(url)
            _limit(self._attempts, _ATTEMPTS)
        if entry.kind == "attempt_started":
            attempt.started = entry.real_at
        if entry.kind == "attempt_started" or entry.data.get("outcome") != "success":
            return None
        responded = entry.real_at
        if attempt.started is not None and "duration" in entry.data:
            # On a busy machine the response is recorded late, which would hide a part of the gap.
            duration = timedelta(milliseconds=float(entry.data["duration"]))
            responded = min(responded, attempt.started + duration)
        attempt.last = max(attempt.last or responded, responded)
        return Activity(url, key)

    def _feed_call(self, entry: Entry) -> Activity | None:
        key = (entry.delivery_id, entry.attempt)
        attempt = self._attempts.get(key)
        if attempt is None or entry.data.get("actor", "handler") != "handler":
            return None
        end = entry.real_at
        start = end - timedelta(milliseconds=float(entry.data.get("duration") or 0))
        if attempt.last is not None:
            # Negative if calls overlap, or a call was made before the response was recorded.
            self._learn(attempt.url, max(0.0, (start - attempt.last).total_seconds()))
        attempt.last = max(attempt.last or end, end)
        return Activity(attempt.url, key)

    def _learn(self, url: str, gap: float) -> None:
        if gap > MAX_GAP:
            return
        self.gaps[url] = max(self.gaps.pop(url, 0.0), gap)
        _limit(self.gaps, _URLS)

    def _fix(self, url: str, milliseconds: float | None) -> None:
        if milliseconds is None:
            self.fixed.pop(url, None)
            self.gaps.pop(url, None)
        else:
            self.fixed[url] = milliseconds / 1000


def _limit(rows: OrderedDict[Any, Any], count: int) -> None:
    """Forget the oldest."""
    while len(rows) > count:
        rows.popitem(last=False)
