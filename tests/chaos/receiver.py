"""The webhook handler of a run: a process of its own that records each request it has received.

Each response has the number of its request, `{"n": 17}`, which the emitter x
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import uvloop

from benchmarks.served import serve
from requests_queue import event_loops

ANSWER, RESET, CLOSE, DRIP, HANG = "answer", "reset", "close", "drip", "hang"
# What became of a request, as `end` has it; empty while it is in flight.
ANSWERED, CUT, REFUSED = "answered", "cut", "refused"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DRIP = 0.2  # seconds between two bytes


@dataclass(slots=True)
class Received:
    """A request: when it was complete, and what became of it.

    `reused` says that its connection had served another one. CUT: the client has disconnected.
    """

    n: int
    path: str
    at: float
    reused: bool
    end: str = ""


_received: list[Received] = []
_open: dict[int, Received] = {}
_behaviors: dict[str, str] = {}
_delay = (0.0, 0.0)


class Handler(asyncio.Protocol):
    """One connection, whose requests follow one another."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._buffer, self._served = b"", 0
        self._current: Received | None = None

    def data_received(self, data: bytes) -> None:
        """Record each complete request, and begin to respond."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            path = self._buffer.split(b" ", 2)[1].decode()
            self._buffer = self._buffer[size:]
            self._begin(path)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client has disconnected during a request."""
        self._end(CUT)

    def _begin(self, path: str) -> None:
        received = Received(len(_received), path, time.monotonic(), self._served > 0)
        self._served += 1
        self._current = received
        _received.append(received)
        _open[received.n] = received
        behavior = _behaviors.get(path, ANSWER)
        loop = asyncio.get_running_loop()
        if behavior == DRIP:
            self._drip(_response(received.n))
        elif behavior != HANG:
            respond = {ANSWER: self._answer, RESET: self._reset, CLOSE: self._close}[behavior]
            loop.call_later(random.uniform(*_delay), respond)

    def _end(self, how: str) -> None:
        if self._current is not None:
            self._current.end = how
            _open.pop(self._current.n, None)
            self._current = None

    def _answer(self) -> None:
        if self._current is not None and not self._transport.is_closing():
            self._transport.write(_response(self._current.n))
            self._end(ANSWERED)

    def _reset(self) -> None:
        self._end(REFUSED)
        line: socket.socket = self._transport.get_extra_info("socket")
        # Without lingering, the close is a reset.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _close(self) -> None:
        self._end(REFUSED)
        self._transport.close()

    def _drip(self, left: bytes) -> None:
        if self._current is not None and not self._transport.is_closing():
            self._transport.write(left[:1])
            if left[1:]:
                asyncio.get_running_loop().call_later(_DRIP, self._drip, left[1:])
            else:
                self._end(ANSWERED)


def _response(n: int) -> bytes:
    body = b'{"n": %d}' % n
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def behave(path: str, behavior: str) -> None:
    """Set the behavior of a path, for requests from now on."""
    _behaviors[path] = behavior


def set_delay(low: float, high: float, seed: int) -> None:
    """Set how many seconds a response takes: random ones between two limits."""
    global _delay
    _delay = (low, high)
    random.seed(seed)


def count() -> int:
    """Return the number of requests."""
    return len(_received)


def in_flight() -> int:
    """Return the number of requests without a complete response."""
    return len(_open)


def cut() -> int:
    """Return the number of requests whose client disconnected before the response."""
    return sum(each.end == CUT for each in _received)


def received() -> list[dict[str, Any]]:
    """Return all requests."""
    return [asdict(each) for each in _received]


def main() -> None:
    """Serve until the command pipe is closed."""
    event_loops.raise_file_limit()
    loop = uvloop.new_event_loop()
    ready = threading.Event()

    def run() -> None:
        server = loop.create_server(Handler, "127.0.0.1", int(sys.argv[1]), backlog=4096)
        loop.run_until_complete(server)
        ready.set()
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    serve(
        {
            "ready": lambda: ready.wait(10),
            "behave": behave,
            "delay": set_delay,
            "count": count,
            "in_flight": in_flight,
            "cut": cut,
            "received": received,
        }
    )


if __name__ == "__main__":
    main()
