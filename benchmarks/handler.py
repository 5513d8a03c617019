"""The webhook handler: an asyncio protocol that returns 200 and records arrival times.

Minimal, so that the client dominates the measurement. `/hang` gets no response until `release`,
paths below `/slow` after 200 ms, and those below `/fail` get 500. While it is `down`, it refuses
connections.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, cast

import uvloop

from benchmarks.processes import serve
from webhooks.delivery import event_loops

_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: keep-alive\r\n\r\n{}"
)
_FAILURE = _RESPONSE.replace(b"200 OK", b"500 Internal Server Error")
_SLOW = 0.2  # seconds
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

# On Linux the monotonic clock is shared by all processes; clients use it too.
_arrivals: dict[str, list[float]] = defaultdict(list)
_hanging: set[asyncio.Transport] = set()
_open: set[asyncio.Transport] = set()


class Handler(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transport does not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""
        _open.add(self._transport)

    def data_received(self, data: bytes) -> None:
        """Respond to each complete request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            path = self._buffer.split(b" ", 2)[1].decode()
            self._buffer = self._buffer[size:]
            if path == "/hang":
                _hanging.add(self._transport)
                return
            _arrivals[path].append(time.monotonic())
            if path.startswith("/slow/"):
                asyncio.get_running_loop().call_later(_SLOW, self._transport.write, _RESPONSE)
                continue
            self._transport.write(_FAILURE if path.startswith("/fail/") else _RESPONSE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a disconnected client."""
        _open.discard(self._transport)
        _hanging.discard(self._transport)


def count() -> int:
    """Return the number of requests since `reset`, without those that hang."""
    return sum(map(len, list(_arrivals.values())))


def span(skip: int = 0) -> dict[str, float]:
    """Return the first and last arrival time; `skip` leaves out the first requests."""
    times = sorted(at for arrived in _arrivals.values() for at in arrived)[skip:]
    return {"first": times[0], "last": times[-1], "count": len(times)}


def hanging() -> int:
    """Return the number of requests that hang."""
    return len(_hanging)


def arrivals() -> dict[str, list[float]]:
    """Return the arrival times by path."""
    return dict(_arrivals)


def reset() -> None:
    """Clear the recorded arrivals."""
    _arrivals.clear()


class Server:
    """The listening socket, and commands that run in the loop's thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = uvloop.new_event_loop()
        self._server: asyncio.Server | None = None
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.up()

    def up(self) -> None:
        """Listen."""
        self._run(self._listen())

    def down(self) -> None:
        """Refuse connections, and close those that are open."""
        self._run(self._close())

    def release(self) -> None:
        """Respond to the requests that hang."""
        self._run(self._respond())

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            Handler, "127.0.0.1", self._port, backlog=4096
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in list(_open):
            transport.close()

    async def _respond(self) -> None:
        while _hanging:
            _hanging.pop().write(_RESPONSE)


def main() -> None:
    """Serve until the command pipe is closed."""
    event_loops.raise_file_limit()
    server = Server(int(sys.argv[1]))
    serve(
        {
            "ready": lambda: True,
            "count": count,
            "hanging": hanging,
            "span": span,
            "arrivals": arrivals,
            "reset": reset,
            "release": server.release,
            "up": server.up,
            "down": server.down,
        }
    )


if __name__ == "__main__":
    main()
