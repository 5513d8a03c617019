"""Open connections grouped by what they wait for, and a periodic sweep that closes slow ones.

Each group is a dict in order of entry, so expired connections are at its front. Everything runs in
the event loop's thread.
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

# Seconds for the rest of a refused body, or of a response on a closing connection.
LINGER = 30.0
# Seconds over which a stalled client must read at the minimum rate, the same as for bodies.
STALLED = 30.0
# Small reads per second, over all throttled connections.
_THROTTLED_READS = 4000
_TICK = 0.1
# Seconds for which a new connection is not evicted if there are older ones.
_YOUNG = 1.0
# Open files of a process other than connections: database, broker, static files.
_OTHER_FILES = 100

Group = dict["Watched", float]


class Watched(Protocol):
    """The connection's interface for the sweep."""

    group: Group | None
    body_bytes: int
    """Received bytes of the current body."""

    def unsent_bytes(self) -> int:
        """Return the bytes of responses that the client has not read."""

    def is_paused(self) -> bool:
        """Return whether the server itself has stopped reading."""

    def resume(self) -> None:
        """Read again after a throttle."""

    def time_out(self) -> None:
        """Send 408 and close."""

    def close(self) -> None:
        """Close after sending what has been written."""

    def abort(self) -> None:
        """Close immediately."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits: durations in seconds, rate in bytes per second."""

    connections: int
    head: float
    body_rate: float
    body_window: float
    idle: float

    @property
    def throttle(self) -> float:
        """Return the maximum seconds for which a byte-by-byte client is not read."""
        return min(1.0, self.head / 4, self.body_window / 4)

    @classmethod
    def from_settings(cls, threads: int) -> Limits:
        """Return the limits of the settings, with connections limited by open files."""
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
    # The engine may run in this process; SQLite opens three files per thread.
    requests = min(settings.SIM_CALLS + settings.SIM_VALIDATIONS, soft // 2)
    return soft - requests - _OTHER_FILES - 3 * threads


class Connections:
    """The groups of a server's connections; a connection with a running request is in none."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        # Waiting for a complete head: the first, or a started one on a keep-alive connection.
        self.heads: Group = {}
        self.bodies: Group = {}
        # The response is complete, and the rest of the request body is discarded.
        self.discards: Group = {}
        self.idle: Group = {}
        # Closed by the server, with unsent parts of a response.
        self.closing: Group = {}
        self._progress: dict[Watched, int] = {}
        self._stalled: dict[Watched, tuple[float, int]] = {}
        self._throttled: deque[tuple[float, Watched]] = deque()
        self._loop: asyncio.AbstractEventLoop

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the sweep for the lifespan of the server."""
        self._loop = asyncio.get_running_loop()
        task = self._loop.create_task(self._sweep_forever())
        try:
            yield
        finally:
            task.cancel()

    def opened(self, connection: Watched) -> None:
        """Add a new connection, and evict another one if there are too many."""
        self.count += 1
        self.move(connection, self.heads)
        if self.count > self.limits.connections:
            self._evict(connection)

    def closed(self, connection: Watched) -> None:
        """Remove a closed connection."""
        self.count -= 1
        self.move(connection, None)
        self._stalled.pop(connection, None)

    def move(self, connection: Watched, group: Group | None) -> None:
        """Move a connection to a group; keep its place if it is already there."""
        if connection.group is group:
            return
        if connection.group is not None:
            connection.group.pop(connection, None)
            self._progress.pop(connection, None)
        connection.group = group
        if group is not None:
            group[connection] = self._loop.time()

    def throttle(self, connection: Watched) -> None:
        """Resume a paused connection later."""
        self._throttled.append((self._loop.time(), connection))

    def stalled(self, connection: Watched) -> None:
        """Add a connection whose client does not read its response."""
        self._stalled[connection] = (self._loop.time(), connection.unsent_bytes())

    def recovered(self, connection: Watched) -> None:
        """Remove a connection whose client has read its response."""
        self._stalled.pop(connection, None)

    def sweep(self, now: float) -> None:
        """Close connections that exceed their limits."""
        for connection in _entered_before(self.heads, now - self.limits.head):
            connection.time_out()
        for connection in _entered_before(self.idle, now - self.limits.idle):
            connection.close()
        for group in (self.discards, self.closing):
            for connection in _entered_before(group, now - LINGER):
                connection.abort()
        for connection in list(self.bodies):
            self._check_body(connection, now)
        for connection, (since, unsent) in list(self._stalled.items()):
            if now - since < STALLED:
                continue
            if unsent - connection.unsent_bytes() < self.limits.body_rate * STALLED:
                connection.abort()
            else:
                self._stalled[connection] = (now, connection.unsent_bytes())

    def _check_body(self, connection: Watched, now: float) -> None:
        """Time out a body that was slower than the minimum rate in one window."""
        window = now - self.bodies[connection]
        if window < self.limits.body_window:
            return
        received = connection.body_bytes - self._progress.get(connection, 0)
        # The last chunks of a throttled connection may not have been read yet.
        expected = self.limits.body_rate * (window - self.limits.throttle)
        if received < expected and not connection.is_paused():
            connection.time_out()
            return
        # Replacing a value keeps its position, so the group stays in order of entry.
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
        last_sweep = 0.0
        while True:
            await asyncio.sleep(min(_TICK, shortest / 10))
            now = self._loop.time()
            self._resume(now)
            if now - last_sweep >= min(1.0, shortest / 10):
                self.sweep(now)
                last_sweep = now

    def _evict(self, newest: Watched) -> None:
        """Close the connection that has been incomplete longest, or else the new one."""
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
                    # Otherwise it would be evicted again until the event loop closes it.
                    self.move(connection, None)
                    connection.abort()
                    return
        newest.abort()


def _entered_before(group: Group, moment: float) -> Iterable[Any]:
    expired = []
    for connection, entered in group.items():
        if entered > moment:
            break
        expired.append(connection)
    return expired
