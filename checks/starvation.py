"""Notice that other programs leave this machine too little CPU time to judge a handler.

Checks wait several times as long as the handler took for a genuine request. Where a process gets an
eighth of the time that it could use, these waits end before the handler has done its work.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_PERIOD = 0.5  # seconds between two samples
_WORK = bytes(1 << 22)  # takes a few milliseconds to hash, without the lock of the interpreter
# Seconds of CPU time of a sample: more than a scheduler may give at once to a thread that slept.
_CPU_TIME = 0.008
# A sample is starved if it took so many times its CPU time, and so many seconds longer: other
# threads of this process may delay it by a few milliseconds.
_SLOWDOWN, _DELAY = 8, 0.05
_SHARE = 1 / 2  # of starved samples, from which on failures prove nothing
_RECENT = 20  # samples of the last ten seconds


class _Sample(NamedTuple):
    at: float
    took: float
    used: float

    @property
    def is_starved(self) -> bool:
        return self.took >= _SLOWDOWN * self.used and self.took - self.used >= _DELAY


class Starvation:
    """The samples of a run of checks."""

    def __init__(self) -> None:
        self._samples: list[_Sample] = []

    def was_starved(self, since: float) -> bool:
        """Return whether the machine was too busy since that time (`time.monotonic`)."""
        samples = [each for each in self._samples if each.at >= since] or [_sample()]
        return sum(each.is_starved for each in samples) >= _SHARE * len(samples)

    def slowdown(self) -> float:
        """Return how many times as long as on an idle machine work takes now, at least 1."""
        samples = self._samples[-_RECENT:] or [_sample()]
        return max(1.0, sum(s.took for s in samples) / sum(s.used for s in samples))

    def sample_until(self, ended: threading.Event) -> None:
        """Take samples until the event."""
        while not ended.wait(_PERIOD):
            self._samples.append(_sample())


@contextmanager
def watching() -> Iterator[Starvation]:
    """Take samples during the block, in a thread that uses about two percent of a core."""
    starvation, ended = Starvation(), threading.Event()
    thread = threading.Thread(
        target=starvation.sample_until, args=[ended], name="starvation", daemon=True
    )
    thread.start()
    try:
        yield starvation
    finally:
        ended.set()
        thread.join()


def _sample() -> _Sample:
    at, cpu = time.monotonic(), time.thread_time()
    while (used := time.thread_time() - cpu) < _CPU_TIME:
        hashlib.sha256(_WORK).digest()
    return _Sample(at, time.monotonic() - at, used)
