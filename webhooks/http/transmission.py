"""How a request is sent: in pieces, or up to a reset of the connection. No ORM, no Django.

A proxy, or a handler's own reverse proxy, may collect the pieces, and it answers a reset itself.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
import termios
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

_POLL = 0.001  # seconds
# Close without sending what is left, and with RST in place of FIN.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Transmission:
    """The body in pieces of `piece` bytes, `pause` seconds apart; None sends it at once.

    After `reset_after` bytes of the body, or after all of a shorter one, the connection is reset.
    """

    piece: int | None = None
    pause: float = 0.0
    reset_after: int | None = None


class TransmittedBody(aiohttp.Payload):
    """A body that is sent as a transmission says; a reset raises ConnectionResetError."""

    def __init__(self, body: bytes, transmission: Transmission) -> None:
        super().__init__(body)
        self._body, self._transmission = body, transmission

    @property
    def size(self) -> int:
        """Return the length that the request declares."""
        return len(self._body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Send the head and the body, and reset the connection if the transmission says so."""
        how = self._transmission
        writer.send_headers()
        body = self._body if how.reset_after is None else self._body[: how.reset_after]
        size = how.piece or len(body) or 1
        for start in range(0, len(body), size):
            if start:
                await asyncio.sleep(how.pause)
            await writer.write(body[start : start + size])
            await writer.drain()
        if how.reset_after is not None:
            await _reset(getattr(writer, "transport", None))


async def _reset(transport: Any) -> None:
    """Reset the connection once the peer's system has everything; raises ConnectionResetError."""
    if transport is not None and not transport.is_closing():
        connection: socket.socket = transport.get_extra_info("socket")
        # What is in a buffer here is lost by the reset.
        while not transport.is_closing() and (
            transport.get_write_buffer_size() or _unacknowledged(connection)
        ):
            await asyncio.sleep(_POLL)
        if not transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
    raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer has not acknowledged; 0 where the system doesn't say."""
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except OSError:
        return 0
    count: int = struct.unpack("i", answer)[0]
    return count
