"""The webhook handler: an asyncio protocol that returns 200 and records arrival times.

Minimal, so that the client dominates the measurement. `/hang` gets no response until `release`,
paths below `/fail` get 500.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from collections import defaultdict
from typing import cast

import uvloop

from benchmarks.processes import serve
from webhooks.delivery import event_loops

_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: keep-alive\r\n\r\n{}"
)
_FAILURE = _RESPONSE.replace(b"200 OK", b"500 Internal Server Error")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

# On Linux the monotonic clock is shared by all processes; clients use it too.
_arrivals: dict[str, list[float]] = defaultdict(list)
_hanging: set[asyncio.Transport] = set()


class Handler(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transport does not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

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
            self._transport.write(_FAILURE if path.startswith("/fail/") else _RESPONSE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a disconnected client."""
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


def main() -> None:
    """Serve until the command pipe is closed."""
    event_loops.raise_file_limit()
    loop = uvloop.new_event_loop()

    def release() -> None:
        def respond() -> None:
            while _hanging:
                _hanging.pop().write(_RESPONSE)

        loop.call_soon_threadsafe(respond)

    def run() -> None:
        server = loop.create_server(Handler, "127.0.0.1", int(sys.argv[1]), backlog=4096)
        loop.run_until_complete(server)
        ready.set()
        loop.run_forever()

    ready = threading.Event()
    threading.Thread(target=run, daemon=True).start()
    serve(
        {
            "ready": lambda: ready.wait(10),
            "count": count,
            "hanging": hanging,
            "span": span,
            "arrivals": arrivals,
            "reset": reset,
            "release": release,
        }
    )


if __name__ == "__main__":
    main()
