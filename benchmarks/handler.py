"""The handler of all posts: a bare asyncio protocol that answers 200 and notes when each came.

As little as will do, so that what is measured is the caller. `/hang` gets no answer until
`release`.
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

from benchmarks.pipes import serve
from webhooks.delivery import event_loops

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: keep-alive\r\n\r\n{}"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

# Monotonic on Linux is one clock for all processes, and is what the callers stamp by.
_arrivals: dict[str, list[float]] = defaultdict(list)
_hanging: set[asyncio.Transport] = set()


class Handler(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's own class doesn't derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            path = self._buffer.split(b" ", 2)[1].decode()
            self._buffer = self._buffer[whole:]
            if path == "/hang":
                _hanging.add(self._transport)
                return
            _arrivals[path].append(time.monotonic())
            self._transport.write(_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a caller that has gone."""
        _hanging.discard(self._transport)


def count() -> int:
    """Return how many posts came since `reset`, less those that hang."""
    return sum(map(len, list(_arrivals.values())))


def span(skip: int = 0) -> dict[str, float]:
    """Return when the first and the last post came; `skip` passes over the first ones."""
    times = sorted(at for arrived in _arrivals.values() for at in arrived)[skip:]
    return {"first": times[0], "last": times[-1], "count": len(times)}


def hanging() -> int:
    """Return how many posts hang."""
    return len(_hanging)


def arrivals() -> dict[str, list[float]]:
    """Return when the posts came, by path."""
    return dict(_arrivals)


def reset() -> None:
    """Forget what came."""
    _arrivals.clear()


def main() -> None:
    """Serve until the end of the commands."""
    event_loops.raise_file_limit()
    loop = uvloop.new_event_loop()

    def release() -> None:
        def answer() -> None:
            while _hanging:
                _hanging.pop().write(_ANSWER)

        loop.call_soon_threadsafe(answer)

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
