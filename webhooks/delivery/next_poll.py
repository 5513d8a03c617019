"""When an engine polls the database next: at once where it is asked to, and soon after results.

Results are collected for a moment, so that under load fewer flushes store more. Used in the
engine's event loop only.
"""

from __future__ import annotations

import asyncio

from webhooks.delivery import event_loops

# Seconds for which results are collected before a flush: FLUSH for each _SMALL results that the
# last one stored.
FLUSH, FLUSH_LONGEST, _SMALL = 0.02, 0.2, 50
# Seconds without a result after which the requests that are left count as slow ones.
QUIET = 0.003


class NextPoll:
    """The next poll of an engine; create it inside the running loop."""

    def __init__(self) -> None:
        self._due = asyncio.Event()
        # Whether anything but results has set it.
        self._is_asked = False
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_timer: asyncio.TimerHandle | None = None
        self._last_result = 0.0
        self._delay = FLUSH

    def ask(self) -> None:
        """Poll at once, also if there are no results to store."""
        self._is_asked = True
        self._due.set()

    def begin(self) -> None:
        """Note that a poll begins, which stores the results so far."""
        self._is_asked = False
        self._forget_results()

    def end(self, stored: int, results: int) -> None:
        """Note what a poll has stored, and how many results there are now."""
        if not self._is_asked and not results:
            # Those that arrived before the poll read them are stored.
            self._forget_results()
        self._delay = min(FLUSH_LONGEST, FLUSH * max(1, stored // _SMALL))

    def note_result(self, results: int, calls: int) -> None:
        """Note a result: how many there are now, and how many requests are in flight."""
        if not calls:
            self._due.set()
            return
        # If two thirds of what was in flight isn't any more, the next claim replaces it; the rest
        # often follows at once.
        are_most = results >= 2 * calls
        loop = asyncio.get_running_loop()
        self._last_result = loop.time()
        due = self._last_result + (FLUSH if are_most else self._delay)
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due, self._due.set)
        # Of a few results more are collected: those of the next claim would be as few.
        if are_most and results >= _SMALL and self._quiet_timer is None:
            self._quiet_timer = loop.call_later(QUIET, self._end_quiet)

    async def wait(self, seconds: float) -> bool:
        """Wait until a poll is due, for some seconds; return whether it is."""
        return await event_loops.wait(self._due, seconds)

    def _end_quiet(self) -> None:
        loop = asyncio.get_running_loop()
        end = self._last_result + QUIET
        if loop.time() >= end:
            self._due.set()
        else:
            self._quiet_timer = loop.call_at(end, self._end_quiet)

    def _forget_results(self) -> None:
        self._due.clear()
        for timer in (self._timer, self._quiet_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._quiet_timer = None
