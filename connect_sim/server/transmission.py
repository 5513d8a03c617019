"""How a response is sent: later, in slices, cut off after some bytes, or not at all.

A view or a middleware changes the Transmission in the WSGI environment, and returns its response:

    request.META["connect_sim.transmission"].reset()

It applies to the whole response, and no thread waits for it. Without this server, for instance in
Django's test client, the key is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any, Protocol

from connect_sim.server.response import Message, Send

KEY = "connect_sim.transmission"

# Seconds for which the client may receive the bytes before a reset, and between two checks.
_FLUSH, _CHECK = 1.0, 0.005

Scope = MutableMapping[str, Any]
Pause = Callable[[float], Awaitable[None]]


class Reset(Exception):
    """The connection is to be reset now."""


class Connection(Protocol):
    """The connection of a request: `scope["extensions"][protocol.CONNECTION]`."""

    def reset(self) -> None:
        """Close immediately with a TCP reset."""

    def unreceived_bytes(self) -> int:
        """Return the bytes of responses that have not reached the client's system."""


class Transmission:
    """The value of KEY; each method says how the response is sent, and several can be combined."""

    def __init__(self) -> None:
        self.is_reset = False
        # Futures, and after how many seconds each is not waited for any more.
        self.waits: list[tuple[Future[Any], float | None]] = []
        self._limit: int | None = None
        self._slices: tuple[int, float] | None = None

    def wait(self, future: Future[Any], timeout: float | None = None) -> None:
        """Send nothing until the future is done, or `timeout` seconds have passed.

        It is cancelled when it is not waited for any more: after the timeout, and if the client
        leaves or the server stops.
        """
        self.waits.append((future, timeout))

    def reset(self) -> None:
        """Reset the TCP connection instead of a response."""
        self.is_reset = True

    def limit(self, size: int) -> None:
        """Reset the TCP connection after `size` bytes of the body, if it is longer."""
        self._limit = size

    def slice(self, size: int, pause: float) -> None:
        """Send the body in slices of `size` bytes, with a pause (seconds) between two."""
        self._slices = size, pause

    @property
    def is_slow(self) -> bool:
        """Return whether the response is sent later than the view's thread returns it."""
        return bool(self.waits) or self._slices is not None

    def cancel(self) -> None:
        """Cancel the futures that are not done."""
        for future, _ in self.waits:
            future.cancel()

    def wrap(self, send: Send, method: str, pause: Pause) -> Send:
        """Return the function that sends the messages of the response; it may raise Reset."""
        if method == "HEAD":
            return send
        if self._slices is not None:
            send = _sliced(send, *self._slices, pause)
        return send if self._limit is None else _limited(send, self._limit)


def _limited(send: Send, limit: int) -> Send:
    """Raise Reset in place of the first byte of the body after `limit` bytes."""
    left = limit

    async def limited(message: Message) -> None:
        nonlocal left
        body = message.get("body", b"")
        if len(body) > left:
            await send({**message, "body": body[:left], "more_body": True})
            raise Reset
        left -= len(body)
        await send(message)

    return limited


def _sliced(send: Send, size: int, seconds: float, pause: Pause) -> Send:
    """Send the body in slices, with a pause before each but the first."""
    is_first = True

    async def sliced(message: Message) -> None:
        nonlocal is_first
        body = message.get("body", b"")
        for start in range(0, len(body), size):
            if not is_first:
                await pause(seconds)
            is_first = False
            piece = body[start : start + size]
            is_last = start + size >= len(body)
            more = not is_last or message["more_body"]
            await send({**message, "body": piece, "more_body": more})
        if not body:
            await send(message)

    return sliced


async def reset(connection: Connection) -> None:
    """Reset a connection, after the client's system has received what has been sent."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _FLUSH
    while connection.unreceived_bytes() and loop.time() < deadline:
        await asyncio.sleep(_CHECK)
    connection.reset()
