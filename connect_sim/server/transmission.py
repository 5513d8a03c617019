"""How a response is sent: later, in slices, cut off after some bytes, or not at all.

A view or a middleware changes the Transmission in the WSGI environment, and returns its response:

    request.META["connect_sim.transmission"].reset = True

It applies to the whole response, and no thread waits for it. Without this server, for instance in
Django's test client, the key is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Slices:
    """The largest number of bytes that are sent at once, and the seconds between two slices."""

    size: int
    pause: float


@dataclass(slots=True)
class Transmission:
    """The value of KEY.

    Nothing is sent until `future` is done; it is cancelled if the client leaves, and not waited for
    if the server stops. With `reset`, the TCP connection is reset instead of a response. With
    `limit`, it is reset after so many bytes of a longer body. `slices` divide the body.
    """

    future: Future[Any] | None = None
    reset: bool = False
    limit: int | None = None
    slices: Slices | None = None

    @property
    def is_slow(self) -> bool:
        """Return whether the response is sent later than the view's thread returns it."""
        return self.future is not None or self.slices is not None

    def cancel(self) -> None:
        """Cancel the future, unless it is done."""
        if self.future is not None:
            self.future.cancel()

    def wrap(self, send: Send, method: str, pause: Pause) -> Send:
        """Return the function that sends the messages of the response; it may raise Reset."""
        if method == "HEAD":
            return send
        if self.slices is not None:
            send = _sliced(send, self.slices, pause)
        return send if self.limit is None else _limited(send, self.limit)


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


def _sliced(send: Send, slices: Slices, pause: Pause) -> Send:
    """Send the body in slices, with a pause before each but the first."""
    is_first = True

    async def sliced(message: Message) -> None:
        nonlocal is_first
        body = message.get("body", b"")
        for start in range(0, len(body), slices.size):
            if not is_first:
                await pause(slices.pause)
            is_first = False
            piece = body[start : start + slices.size]
            is_last = start + slices.size >= len(body)
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
