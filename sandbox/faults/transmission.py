"""How a fault sends a request: in pieces, or up to a reset of the connection. No Django.

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
from asyncio import sleep
from dataclasses import dataclass

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

    async def send(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Send the head and the body, and reset the connection if there is a limit."""
        _write(transport, head)
        body = body if self.reset_after is None else body[: self.reset_after]
        size = self.piece or len(body) or 1
        for start in range(0, len(body), size):
            if start:
                await sleep(self.pause)
            _write(transport, body[start : start + size])
        if self.reset_after is not None:
            await _reset(transport)


def _write(transport: asyncio.Transport, data: bytes) -> None:
    if transport.is_closing():
        raise _connection_reset()
    transport.write(data)


async def _reset(transport: asyncio.Transport) -> None:
    """Reset the connection once the peer's system has everything; raises ConnectionResetError."""
    connection: socket.socket = transport.get_extra_info("socket")
    # What is in a buffer here is lost by the reset.
    while not transport.is_closing() and (
        transport.get_write_buffer_size() or _unacknowledged(connection)
    ):
        await sleep(_POLL)
    if not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    raise _connection_reset()


def _connection_reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer has not acknowledged; 0 where the system doesn't say."""
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except OSError:
        return 0
    count: int = struct.unpack("i", answer)[0]
    return count
