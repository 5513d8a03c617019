"""The webhook handler: an asyncio protocol that returns 200 and records arrival times.

Minimal, so that the client dominates the measurement. Paths below `/hang` get no response until
`release`, those below `/slow` after 200 ms, and those below `/fail` get 500.
"""

import asyncio
import re
import time
from collections import defaultdict

import uvloop

from requests_queue import event_loops

new_event_loop = uvloop.new_event_loop
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
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            path = self._buffer.split(b" ", 2)[1].decode()
            self._buffer = self._buffer[size:]
            if path.startswith("/hang/"):
                _hanging.add(self._transport)
                return
            _arrivals[path].append(time.monotonic())
            if path.startswith("/slow/"):
                asyncio.get_running_loop().call_later(0.2, self._transport.write, _RESPONSE)
            else:
                self._transport.write(_FAILURE if path.startswith("/fail/") else _RESPONSE)

    def connection_lost(self, exc: Exception | None) -> None:
        _hanging.discard(self._transport)


def count() -> int:
    """Return the number of requests since `reset`, without those that hang."""
    return sum(map(len, list(_arrivals.values())))


def span(skip: int = 0) -> dict[str, float]:
    """Return the last arrival, the seconds to it from the first, and arrivals per second.

    `skip` leaves out the first requests.
    """
    times = sorted(at for arrived in _arrivals.values() for at in arrived)[skip:]
    seconds = times[-1] - times[0]
    return {"last": times[-1], "seconds": seconds, "rate": (len(times) - 1) / seconds}


def hanging() -> int:
    return len(_hanging)


def arrivals() -> dict[str, list[float]]:
    return dict(_arrivals)


def reset() -> None:
    _arrivals.clear()


async def up(port: int) -> None:
    event_loops.raise_file_limit()
    loop = asyncio.get_running_loop()
    await loop.create_server(Handler, "127.0.0.1", port, backlog=4096)


async def release() -> None:
    while _hanging:
        _hanging.pop().write(_RESPONSE)
