"""How a response is sent: later, in slices, cut off after some bytes, or not at all.

Or whether the request is served later, before which nothing is done.

A view or a middleware changes the Transmission in the WSGI environment, and returns its response:

    request.META["connect_sim.transmission"].reset()

It applies to the whole response, and no thread waits for it. Without this server, for instance in
Django's test client, the key is missing.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from connect_sim.server import Send
from connect_sim.server.deferred import Client
from connect_sim.server.protocol import Connection
from connect_sim.server.response import Response

KEY = "connect_sim.transmission"

_BLOCK = 64 * 1024
# Seconds for which the client may receive the bytes before a reset, and between two checks.
_FLUSH, _CHECK = 1.0, 0.005


class Transmission:
    """The value of KEY; each method says how the response is sent, and several can be combined."""

    def __init__(self) -> None:
        self._is_reset = False
        # Futures, and after how many seconds each is not waited for any more.
        self._waits: list[tuple[Future[Any], float | None]] = []
        self._limit: int | None = None
        self._size, self._pause = _BLOCK, 0.0
        # The environment of a request that is served later, beside what it has.
        self._later: dict[str, Any] | None = None

    def serve_later(self, future: Future[Any], timeout: float | None, **environ: Any) -> None:
        """Discard the response, and run the application again: when the future is done, or later.

        That is, after `timeout` seconds; `environ` is added to the environment then.
        """
        self.wait(future, timeout)
        self._later = environ

    async def begin_later(self, client: Client) -> dict[str, Any] | None:
        """Wait to serve the request; return what its environment has more, None if it is served.

        Raises ClientLeft and Stopping.
        """
        later, self._later = self._later, None
        if later is not None:
            future, timeout = self._waits[-1]
            with suppress(TimeoutError):
                wait = asyncio.wrap_future(future)
                await client.wait(wait, timeout=timeout, needs_client=False)
        return later

    def wait(self, future: Future[Any], timeout: float | None = None) -> None:
        """Send nothing until the future is done, or `timeout` seconds have passed.

        It is cancelled when it is not waited for any more: after the timeout, and if the client
        leaves or the server stops.
        """
        self._waits.append((future, timeout))

    def reset(self) -> None:
        """Reset the TCP connection instead of a response."""
        self._is_reset = True

    def limit(self, size: int) -> None:
        """Reset the TCP connection after `size` bytes of the body, if it is longer."""
        self._limit = size

    def slice(self, size: int, pause: float) -> None:
        """Send the body in slices of `size` bytes, with a pause (seconds) between two."""
        self._size, self._pause = size, pause

    def cancel(self) -> None:
        """Cancel the futures that are not done."""
        for future, _ in self._waits:
            future.cancel()

    async def send(self, response: Response, send: Send, client: Client, method: str) -> None:
        """Send the response, or reset the connection; raises ClientLeft."""
        for future, timeout in self._waits:
            await client.pause(timeout, future)
        size = response.rewind()
        if method == "HEAD":
            size = 0
        end = size if self._limit is None else min(size, self._limit)
        if not self._is_reset:
            start = {"status": response.status, "headers": response.headers}
            await send({"type": "http.response.start", **start})
            sent = 0
            while True:
                piece = response.body.read(min(self._size, end - sent))
                sent += len(piece)
                body = {"body": piece, "more_body": sent < size}
                await send({"type": "http.response.body", **body})
                if sent >= end:
                    break
                # Without a pause, let other requests run.
                await (client.pause(self._pause) if self._pause else asyncio.sleep(0))
        if self._is_reset or end < size:
            await _reset(client.connection)


async def _reset(connection: Connection) -> None:
    """Close with a TCP reset, after the client's system has received what has been sent.

    A client cannot take it for the end of a response.
    """
    transport = connection.transport
    line: socket.socket = transport.get_extra_info("socket")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _FLUSH
    while not transport.is_closing() and loop.time() < deadline:
        # Bytes that have been written and not acknowledged.
        pending = fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4))
        if not any(pending) and not transport.get_write_buffer_size():
            break
        await asyncio.sleep(_CHECK)
    if not transport.is_closing():
        # Linger for 0 seconds: the system sends a reset, and discards unsent data.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.abort()
