"""Responses that are sent later: the view's thread ends, and the event loop waits.

A view that must wait stores a `concurrent.futures.Future` in the WSGI environment, and returns any
response:

    request.META["connect_sim.deferred"].future = future

The server waits until the future is done, without a thread, and then sends the response: as the
view returned it if the result is None, else with the result `(status, content type, body)` in place
of the view's. It cancels the future if the client disconnects or the server stops. A client that
has ended cannot be told from one that has closed only its side of the connection and waits for the
response, so the wait goes on, unless the view has set `needs_client`: for what nobody else may have
meanwhile. Without this server, for instance in Django's test client, the key is missing, and the
view waits itself.

A response whose body has no end, such as server-sent events, is an asynchronous generator of bytes
that the event loop runs: the body follows the status and headers of the view's response.

    request.META["connect_sim.deferred"].stream = pieces()

It is closed if the client leaves or the server stops, and a client that does not read is
disconnected (`connect_sim.server.connections`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from connect_sim.server.protocol import CONNECTION
from connect_sim.server.response import Failed

logger = logging.getLogger(__name__)

KEY = "connect_sim.deferred"
READ_AGAIN = 1.0  # seconds

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
# Returns when the client has left: `left` of a request.
Left = Callable[[], Coroutine[Any, Any, None]]
Result = tuple[int, str, bytes] | None
T = TypeVar("T")


class ClientLeft(Exception):
    """The client has disconnected."""


class Stopping(Exception):
    """The server is stopping."""


class Deferral:
    """The value of KEY: the future or the stream that a view has stored, if any."""

    def __init__(self) -> None:
        self.future: Future[Result] | None = None
        self.needs_client = False
        self.stream: AsyncGenerator[bytes] | None = None

    def cancel(self) -> None:
        """Cancel the future, unless it is done."""
        if self.future is not None:
            self.future.cancel()


class DeferredResponses:
    """The waits of a server, in its event loop."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[Any]] = set()
        self._stopping = False

    async def wait(self, future: Future[T], left: Left) -> T:
        """Return the future's result; raises ClientLeft, Stopping, Failed."""
        if self._stopping:
            future.cancel()
            raise Stopping
        result = asyncio.wrap_future(future)
        leaving = asyncio.ensure_future(left())
        self._waiting.add(result)
        try:
            either: set[asyncio.Future[Any]] = {result, leaving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if result.cancelled():
                raise Stopping
            if not result.done():
                raise ClientLeft
            if error := result.exception():
                logger.error("A deferred response failed.", exc_info=error)
                raise Failed
            return result.result()
        finally:
            self._waiting.discard(result)
            # Cancels the view's future too.
            result.cancel()
            leaving.cancel()

    async def sleep(self, seconds: float, left: Left) -> None:
        """Return after some seconds; raises ClientLeft, Stopping."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait(Future(), left)

    async def delay(self, future: Future[Any], left: Left, timeout: float | None = None) -> None:
        """Return when the future is done, after `timeout` seconds, or when the server stops.

        Raises ClientLeft, Failed.
        """
        with suppress(Stopping, TimeoutError):
            async with asyncio.timeout(timeout):
                await self.wait(future, left)

    async def pause(self, seconds: float, left: Left) -> None:
        """Return after some seconds, or when the client leaves or the server stops."""
        with suppress(ClientLeft):
            await self.delay(Future(), left, seconds)

    async def pieces(self, stream: AsyncGenerator[bytes], left: Left) -> AsyncGenerator[bytes]:
        """Yield the pieces of a stream until it ends, the client leaves, or the server stops."""
        leaving = asyncio.ensure_future(left())
        try:
            while not self._stopping:
                piece = asyncio.ensure_future(anext(stream))
                self._waiting.add(piece)
                try:
                    await asyncio.wait({piece, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._waiting.discard(piece)
                    if not piece.done():
                        # A running generator cannot be closed.
                        piece.cancel()
                        await asyncio.wait({piece})
                if leaving.done() or piece.cancelled():
                    return
                yield piece.result()
        except StopAsyncIteration:
            pass
        finally:
            leaving.cancel()
            await stream.aclose()

    def stop(self) -> None:
        """End all waits, and begin no more."""
        self._stopping = True
        for result in self._waiting:
            result.cancel()


async def left(scope: Scope, receive: Receive, *, only_fully: bool = False) -> None:
    """Return when the client has disconnected or, unless `only_fully`, closed its side."""
    connection = scope["extensions"][CONNECTION]
    while only_fully or not connection.is_half_closed:
        # A pipelined request stops reading, by which the end is noticed; each call resumes it.
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_AGAIN):
                if (await receive())["type"] == "http.disconnect":
                    return
