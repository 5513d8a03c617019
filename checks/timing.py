"""How long a handler takes, measured by a genuine request, and what checks derive from it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations

from checks.history import Call

# Seconds without an API call after which a handler counts as quiet.
_SHORTEST, _LONGEST = 0.2, 10.0
_FACTOR = 4
# The longest pause of a handler that polls, as far as it is waited for.
LONGEST_INTERVAL = 60.0
# The last reads of a list that tell whether a handler polls. No pause between two of them, or after
# the last, is longer than so many times another.
_READS, _ALIKE = 20, 2
# A handler that makes no call for so long after a request works by itself, and not because of it.
BY_ITSELF = 1.0
# Work that is expected is waited for so long, after a response of success.
_PATIENCE, _PATIENCE_FACTOR = 5.0, 5
# The barrier of a race opens after so many seconds without a byte from the second run.
_BARRIER, _BARRIER_FACTOR = 2.0, 10
# A request whose response takes longer is abandoned.
_RESPONSE, _RESPONSE_FACTOR = 10.0, 10
# The time of a check, which ends within a minute: some seconds more are for what can't be cut. With
# a handler that polls, so many of its pauses are added.
_CHECK, _CHECK_FACTOR = 50.0, 20
# How often a check may start a handler that takes long for it.
_STARTS = 8


class OutOfTime(Exception):
    """The time of a check is over."""


class Budget:
    """The time that a check may take, which no wait exceeds; without limit between checks."""

    def __init__(self) -> None:
        self.seconds = self._ends = float("inf")

    def begin(self, seconds: float) -> None:
        """Let the time of a check begin."""
        self.seconds, self._ends = seconds, time.monotonic() + seconds

    def end(self) -> None:
        """End the check, whatever time is left."""
        self._ends = float("inf")

    def check(self, needed: float = 0.0) -> None:
        """Raise OutOfTime unless more than the needed seconds are left."""
        if self._ends - time.monotonic() <= needed:
            raise OutOfTime

    @contextmanager
    def wait(self, seconds: float) -> Iterator[float]:
        """Yield for how long a wait of at most `seconds` may last.

        Raises OutOfTime if it ended for want of time, since nothing follows from that.
        """
        self.check()
        left = self._ends - time.monotonic()
        try:
            yield min(seconds, left)
        finally:
            if seconds > left:
                self.check()


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of real time: until the response, until the work was done, the longest gap in it.

    `interval` is the pause between two looks of a handler that polls, else 0. `start` is how long
    one takes that starts for many seconds, else 0.
    """

    response: float
    work: float
    gap: float
    interval: float = 0.0
    start: float = 0.0

    @property
    def quiet(self) -> float:
        """Seconds without an API call after which nothing more is expected."""
        return min(_LONGEST, max(_SHORTEST, _FACTOR * self.gap))

    @property
    def patience(self) -> float:
        """Seconds within which a handler that responded must have done its work."""
        return self.interval + max(_PATIENCE, _PATIENCE_FACTOR * self.work)

    @property
    def barrier(self) -> float:
        """Seconds after which a second run that brings no byte counts as waiting for the first."""
        return max(_BARRIER, _BARRIER_FACTOR * self.gap)

    @property
    def deadline(self) -> float:
        """Seconds after which a response, or the first call, is not expected any more."""
        return self.interval + max(_RESPONSE, _RESPONSE_FACTOR * self.response)

    @property
    def check(self) -> float:
        """Seconds that a check may take."""
        return _CHECK + _CHECK_FACTOR * self.interval + _STARTS * self.start


# Before the first measurement: generous.
UNKNOWN = Timing(3.0, 1.0, 0.5)


def measure(began: float, response: float, calls: Sequence[Call], interval: float = 0.0) -> Timing:
    """Return the timing of a request sent at `began` (Unix time), with its API calls.

    The work of a handler that polls is from its look, unless that followed the request at once, to
    its last write. It must be quiet before it looks again.
    """
    ordered = sorted(calls, key=lambda call: call.began)
    writes = [call.began for call in ordered if not call.is_read]
    start = began
    if interval and writes:
        ordered = [call for call in ordered if call.began <= writes[-1]]
        look = max((at for at in looks(ordered) if at <= writes[0]), default=began)
        if look - began - response > BY_ITSELF:
            start = look
            ordered = [call for call in ordered if call.began >= look]
    gap, at = 0.0, start
    for call in ordered:
        gap = max(gap, call.began - at)
        at = max(at, call.began + call.seconds)
    if start == began:
        # A handler that responds when its work is done has one more gap.
        gap = max(gap, began + response - at)
        at = max(at, began + response)
    if interval:
        gap = min(gap, interval / (2 * _FACTOR))
    return Timing(response, at - start, gap, min(interval, LONGEST_INTERVAL))


def interval_of(calls: Iterable[Call], until: float) -> float:
    """Return the pause of a handler that has polled `until` now (Unix time), else 0.

    Nobody has asked for these calls. Three reads of a list after pauses that are alike tell it from
    one whose workers read the list when they start.
    """
    reads: dict[tuple[str, str], list[float]] = {}
    for call in calls:
        if call.is_read and call.pattern == call.path:
            reads.setdefault((call.path, call.query), []).append(call.began)
    pauses = [
        min(second - first, third - second)
        for begins in reads.values()
        for first, second, third in combinations(sorted(begins)[-_READS:], 3)
        if max(second - first, third - second, until - third)
        <= _ALIKE * min(second - first, third - second)
    ]
    return min((pause for pause in pauses if pause >= _SHORTEST), default=0.0)


def looks(calls: Sequence[Call]) -> list[float]:
    """Return when a handler has begun to look for work: calls after a pause that read a list."""
    found: list[float] = []
    start = end = float("-inf")
    for call in sorted(calls, key=lambda call: call.began):
        if call.began - end > BY_ITSELF:
            start = call.began
        if call.is_read and call.pattern == call.path and start not in found:
            found.append(start)
        end = max(end, call.began + call.seconds)
    return found
