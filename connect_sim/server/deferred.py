"""Responses that are sent later: the view's thread ends, and the event loop waits.

A view that must wait stores a `concurrent.futures.Future` in the WSGI environment, and returns any
response:

    request.META["connect_sim.deferred"].future = future

The server waits until the future is done, without a thread, and then sends the response: as the
view returned it if the result is None, else with the result `(status, content type, body)` in place
of the view's. It cancels the future if the client resets the connection or the server stops. A
client that has ended cannot be told from one that has closed only its side of the connection and
waits for the response, so the wait goes on, unless the view has set `needs_client`, for waits that
others have to wait for: those for a lease, and those that move the clock. Without this server, for
instance in Django's test client, the key is missing, and the view waits itself.

A response whose body has no end, such as server-sent events, is an asynchronous generator of bytes
that the event loop runs: the body follows the status and headers of the view's response.

    request.META["connect_sim.deferred"].stream = pieces()

It is closed if the client leaves or does not read, or if the server stops.

A response that consists of others is a coroutine function, which gets a function that sends further
requests with the client's key (`subrequests`), and returns the response as a future does. It is
cancelled if the client leaves, or if the server stops.

    request.META["connect_sim.deferred"].work = respond
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from connect_sim.server import Receive, Scope
from connect_sim.server.protocol import CONNECTION, Connection

KEY = "connect_sim.deferred"
READ_AGAIN = 1.0  # seconds

Result = tuple[int, str, bytes] | None
# Method, target and JSON body of a request; status and body of its response.
Send = Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]
Work = Callable[[Send], Coroutine[Any, Any, Result]]
T = TypeVar("T")


class ClientLeft(Exception):
    """The client has disconnected."""


class Stopping(Exception):
    """The server is stopping."""


class Deferral:
    """The value of KEY: the future, the work or the stream that a view has stored, if any."""

    def __init__(self) -> None:
        self.future: Future[Result] | None = None
        self.needs_client = False
        self.work: Work | None = None
        self.stream: AsyncGenerator[bytes] | None = None


class Client:
    """The client of a request that waits, without a thread; `stopping` ends all waits."""

    def __init__(self, scope: Scope, receive: Receive, stopping: asyncio.Event) -> None:
        self.connection: Connection = scope["extensions"][CONNECTION]
        self._receive, self._stopping = receive, stopping

    async def wait(
        self, work: Awaitable[T], *, timeout: float | None = None, needs_client: bool = True
    ) -> T:
        """Return the result; raises ClientLeft, Stopping, TimeoutError, and cancels the work then.

        Unless it `needs_client`, a client that has closed its side of the connection may wait.
        """
        result = asyncio.ensure_future(work)
        left = asyncio.ensure_future(self._left(needs_client))
        stopping = asyncio.ensure_future(self._stopping.wait())
        every: set[asyncio.Future[Any]] = {result, left, stopping}
        try:
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait(every, timeout=timeout, return_when=first)
            if result in done and not result.cancelled():
                return result.result()
            if left in done:
                raise ClientLeft
            raise Stopping if done else TimeoutError
        finally:
            for each in every:
                each.cancel()
            await asyncio.wait(every)

    async def pause(self, seconds: float | None, future: Future[Any] | None = None) -> None:
        """Return after some seconds, when the future is done, or when all waits end."""
        with suppress(ClientLeft, Stopping, TimeoutError):
            await self.wait(asyncio.wrap_future(future or Future()), timeout=seconds)

    async def _left(self, on_half_close: bool) -> None:
        while not (on_half_close and self.connection.is_half_closed):
            # A pipelined request stops reading, by which the end is noticed; each call resumes it.
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_AGAIN):
                    if (await self._receive())["type"] == "http.disconnect":
                        return
