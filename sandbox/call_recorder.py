"""Keep recorded API calls in memory until they are stored, each once and in order."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import Error as DatabaseError
from django.db import connection

from requests_queue import database_errors
from requests_queue.redaction import Redaction
from sandbox import call_storage, timeline
from sandbox.call_storage import RecordedCall

logger = logging.getLogger(__name__)

MAX_CALLS = 10_000  # that wait to be stored
MAX_BYTES = 64 * 1024 * 1024
_BATCH = 500  # calls of one transaction
_WARN = 60.0  # seconds between two warnings of calls that are not recorded

_FULL = "Later calls are not recorded."


class Recorder:
    """Recorded calls that are not stored yet; all methods from any thread.

    At most MAX_CALLS and MAX_BYTES, beyond which calls are not recorded.
    """

    def __init__(
        self, store: Callable[[Sequence[RecordedCall]], None] = call_storage.store
    ) -> None:
        self._store = store
        self._calls: deque[RecordedCall] = deque()
        self._bytes = 0
        # Open entries of calls that are not stored: a flush removes them, or a later one.
        self._dropped: list[int] = []
        # How many of a flush in progress are not among the calls any more.
        self._taken = 0
        self._guard = threading.Lock()
        self._storing = threading.RLock()
        self._warned_at = float("-inf")
        # Of the latest store that failed because the database was unavailable.
        self._error = ""
        # Set while there are calls to store.
        self.arrived = threading.Event()

    def add(self, call: RecordedCall) -> None:
        """Record a call, unless too many wait to be stored."""
        size = call.size
        with self._guard:
            if self._fits(size):
                self._calls.append(call)
                self._bytes += size
            else:
                self._dropped += call.opened
                self._warn(_FULL)
        if not self.arrived.is_set():
            self.arrived.set()

    def flush(self, *, warns: bool = True) -> bool:
        """Store what is recorded, and wait for a flush of another thread; raises no Exception.

        Nothing is stored inside a transaction, which may be rolled back. Return whether everything
        is stored; after an error of the database the rest is kept, which is logged unless `warns`
        is False.
        """
        if connection.in_atomic_block:
            return False
        with self._storing:
            while batch := self._take():
                if rest := self._store_batch(batch):
                    self.put_back(rest)
                    if warns:
                        self._warn(self._error)
                    return False
            dropped = self._dropped[:]
            try:
                timeline.remove(dropped)
                del self._dropped[: len(dropped)]
            except DatabaseError:
                connection.close_if_unusable_or_obsolete()
            return True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Store what is recorded, and keep what is recorded from then on until the block ends."""
        with self._storing:
            self.flush()
            yield

    def clear(self) -> None:
        """Forget what is recorded; for tests."""
        with self._guard:
            self._calls.clear()
            self._dropped.clear()
            self._bytes = 0
            self.arrived.clear()

    @property
    def is_empty(self) -> bool:
        """Whether everything is stored; False until a flush in progress has ended."""
        return not self._calls and not self._taken

    @property
    def is_ordered(self) -> bool:
        """Whether everything is stored, or has a place in the timeline before later entries."""
        with self._guard:
            return not self._taken and all(call.opened for call in self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def _fits(self, size: int) -> bool:
        return len(self._calls) < MAX_CALLS and self._bytes + size <= MAX_BYTES

    def _take(self) -> list[RecordedCall]:
        with self._guard:
            # First, for `is_empty`.
            self._taken = min(_BATCH, len(self._calls))
            batch = [self._calls.popleft() for _ in range(self._taken)]
            self._bytes -= sum(call.size for call in batch)
            if not self._calls:
                self.arrived.clear()
            return batch

    def put_back(self, batch: Sequence[RecordedCall]) -> None:
        """Record calls again that could not be stored, before the others."""
        rest = list(batch)
        with self._guard:
            self._taken = 0
            while rest and self._fits(rest[-1].size):
                call = rest.pop()
                self._calls.appendleft(call)
                self._bytes += call.size
            if rest:
                self._dropped += [pk for call in rest for pk in call.opened]
                self._warn(_FULL)
        self.arrived.set()

    def _warn(self, reason: str) -> None:
        if time.monotonic() >= self._warned_at + _WARN:
            self._warned_at = time.monotonic()
            logger.warning("%d API calls are not stored yet. %s", len(self._calls), reason)

    def _store_batch(self, batch: list[RecordedCall]) -> list[RecordedCall]:
        """Store a batch, or after an error its parts; return the rest if the database is away.

        A call that cannot be stored is left out, and never blocks the others.
        """
        try:
            self._store(batch)
        except Exception as error:
            # Closes an unusable connection, so that the next query opens a new one.
            connection.close_if_unusable_or_obsolete()
            if database_errors.unavailable(error):
                self._error = database_errors.summary(error)
                return batch
            if len(batch) == 1:
                [call] = batch
                path = Redaction().text(call.path)
                logger.exception("The API call %s %s cannot be stored.", call.method, path)
                self._dropped += call.opened
                return []
            half = len(batch) // 2
            if rest := self._store_batch(batch[:half]):
                return [*rest, *batch[half:]]
            return self._store_batch(batch[half:])
        return []
