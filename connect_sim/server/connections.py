"""Every open connection by what it waits for, and one periodic sweep that ends the slow ones.

Each group is a dict in order of entry, so the connections whose time is up are at its front. All
of it runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import resource
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from django.conf import settings

# Seconds that the rest of a refused body, or of a response to a closed connection, may take.
LINGER = 30.0
# A client that doesn't keep up takes as many bytes a second as a body has to bring, on average over
# so many seconds.
STALLED = 30.0
# Small pieces that are read in a second, over all connections that are throttled.
_THROTTLED_READS = 4000
_TICK = 0.1
# A connection this young isn't closed to make room for others, if there are older ones.
_YOUNG = 1.0
# Open files of a process of ours beside its connections: database, broker, static files.
_OTHER_FILES = 100

Group = dict["Watched", float]


class Watched(Protocol):
    """What is watched of a connection."""

    group: Group | None
    body_bytes: int
    """Bytes of the current body so far."""

    def is_writing(self) -> int:
        """Return the bytes of responses that the client hasn't taken."""

    def is_paused(self) -> bool:
        """Whether the server itself has stopped reading."""

    def resume(self) -> None:
        """Read again after a throttle."""

    def time_out(self) -> None:
        """Answer 408 and close."""

    def close(self) -> None:
        """Close after what has been written."""

    def abort(self) -> None:
        """Close at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Durations in seconds, rate in bytes per second."""

    connections: int
    head: float
    body_rate: float
    body_window: float
    idle: float

    @property
    def throttle(self) -> float:
        """The most seconds for which a client that sends byte by byte isn't read."""
        return min(1.0, self.head / 4, self.body_window / 4)

    @classmethod
    def from_settings(cls, threads: int) -> Limits:
        """Return the limits of the settings, and no more connections than files allow."""
        return cls(
            max(16, min(settings.SIM_CONNECTIONS, _files_for_connections(threads))),
            settings.SIM_HEAD_TIMEOUT,
            settings.SIM_BODY_RATE,
            settings.SIM_BODY_WINDOW,
            settings.SIM_IDLE_TIMEOUT,
        )


def _files_for_connections(threads: int) -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return int(settings.SIM_CONNECTIONS)
    # The engine's requests may be in this process; SQLite opens three files a thread.
    requests = min(settings.SIM_CALLS + settings.SIM_VALIDATIONS, soft // 2)
    return soft - requests - _OTHER_FILES - 3 * threads


class Connections:
    """The groups of a server's connections; a connection that is being served is in none."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        # Without a complete head: the first one, or one that has begun on a kept connection.
        self.heads: Group = {}
        self.bodies: Group = {}
        # The response is complete, and the rest of the request's body is discarded.
        self.discards: Group = {}
        self.idle: Group = {}
        # Closed by the server, with parts of a response still to be sent.
        self.closing: Group = {}
        self._progress: dict[Watched, int] = {}
        self._stalled: dict[Watched, tuple[float, int]] = {}
        self._throttled: deque[tuple[float, Watched]] = deque()
        self._loop: asyncio.AbstractEventLoop

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweep while the server runs."""
        self._loop = asyncio.get_running_loop()
        task = self._loop.create_task(self._sweep_forever())
        try:
            yield
        finally:
            task.cancel()

    def opened(self, connection: Watched) -> None:
        """Watch a new connection, and make room for it."""
        self.count += 1
        self.move(connection, self.heads)
        if self.count > self.limits.connections:
            self._evict(connection)

    def closed(self, connection: Watched) -> None:
        """Forget a connection."""
        self.count -= 1
        self.move(connection, None)
        self._stalled.pop(connection, None)

    def move(self, connection: Watched, group: Group | None) -> None:
        """Let a connection enter a group from now on; it stays where it is if it is there."""
        if connection.group is group:
            return
        if connection.group is not None:
            connection.group.pop(connection, None)
            self._progress.pop(connection, None)
        connection.group = group
        if group is not None:
            group[connection] = self._loop.time()

    def throttle(self, connection: Watched) -> None:
        """Read a connection again after a moment; it has been paused."""
        self._throttled.append((self._loop.time(), connection))

    def stalls(self, connection: Watched) -> None:
        """Watch a connection that doesn't take what is written."""
        self._stalled[connection] = (self._loop.time(), connection.is_writing())

    def flows(self, connection: Watched) -> None:
        """Stop watching it: what was written has been taken."""
        self._stalled.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Close what has taken too long."""
        for connection in _entered_before(self.heads, now - self.limits.head):
            connection.time_out()
        for connection in _entered_before(self.idle, now - self.limits.idle):
            connection.close()
        for group in (self.discards, self.closing):
            for connection in _entered_before(group, now - LINGER):
                connection.abort()
        for connection in list(self.bodies):
            self._check_body(connection, now)
        for connection, (since, left) in list(self._stalled.items()):
            if now - since < STALLED:
                continue
            if left - connection.is_writing() < self.limits.body_rate * STALLED:
                connection.abort()
            else:
                self._stalled[connection] = (now, connection.is_writing())

    def _check_body(self, connection: Watched, now: float) -> None:
        """End a body that brought less than the rate in one window."""
        window = now - self.bodies[connection]
        if window < self.limits.body_window:
            return
        received = connection.body_bytes - self._progress.get(connection, 0)
        # The last pieces may not have been read yet.
        expected = self.limits.body_rate * (window - self.limits.throttle)
        if received < expected and not connection.is_paused():
            connection.time_out()
            return
        # A value that is replaced keeps its place: the group stays in order of entry.
        self.bodies[connection] = now
        self._progress[connection] = connection.body_bytes

    def _resume(self, now: float) -> None:
        count = len(self._throttled)
        paused = min(self.limits.throttle, count / _THROTTLED_READS)
        for _ in range(min(count, int(_THROTTLED_READS * _TICK))):
            if self._throttled[0][0] > now - paused:
                return
            self._throttled.popleft()[1].resume()

    async def _sweep_forever(self) -> None:
        limits = self.limits
        shortest = min(limits.head, limits.body_window, limits.idle)
        swept = 0.0
        while True:
            await asyncio.sleep(min(_TICK, shortest / 10))
            now = self._loop.time()
            self._resume(now)
            if now - swept >= min(1.0, shortest / 10):
                self.sweep(now)
                swept = now

    def _evict(self, newest: Watched) -> None:
        """Close the connection that has been incomplete for longest, the new one last."""
        old = self._loop.time() - _YOUNG
        for group, before in (
            (self.heads, old),
            (self.closing, None),
            (self.discards, None),
            (self.idle, old),
            (self.bodies, None),
            (self.heads, None),
            (self.idle, None),
        ):
            for connection, entered in islice(group.items(), 1):
                if connection is not newest and (before is None or entered < before):
                    # Otherwise it would be chosen again until the event loop has closed it.
                    self.move(connection, None)
                    connection.abort()
                    return
        newest.abort()


def _entered_before(group: Group, moment: float) -> Iterable[Any]:
    found = []
    for connection, entered in group.items():
        if entered > moment:
            break
        found.append(connection)
    return found
