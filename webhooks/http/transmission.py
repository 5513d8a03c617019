"""How a request is sent: in pieces, or up to a reset of the connection. No ORM, no Django.

A proxy, or a handler's own reverse proxy, may collect the pieces, and it answers a reset itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import termios
from asyncio import sleep
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

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


def write(protocol: ResponseHandler, *parts: bytes | None) -> None:
    """Send bytes, after those that wait to be sent; raises ClientConnectionResetError."""
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("The connection is closed.")
    transport.writelines([part for part in parts if part])


async def transmit(protocol: ResponseHandler, head: bytes, body: bytes, how: Transmission) -> None:
    """Send the head and the body, and reset the connection if the transmission says so.

    An error ends the wait for the response, which may have arrived before all is sent.
    """
    try:
        write(protocol, head)
        body = body if how.reset_after is None else body[: how.reset_after]
        size = how.piece or len(body) or 1
        for start in range(0, len(body), size):
            if start:
                await sleep(how.pause)
            write(protocol, body[start : start + size])
        if how.reset_after is not None:
            await _reset(protocol.transport)
    except OSError as error:
        protocol.set_exception(aiohttp.ClientOSError(error.errno, "The body was not sent."), error)


async def _reset(transport: Any) -> None:
    """Reset the connection once the peer's system has everything; raises ConnectionResetError."""
    if transport is not None and not transport.is_closing():
        connection: socket.socket = transport.get_extra_info("socket")
        # What is in a buffer here is lost by the reset.
        while not transport.is_closing() and (
            transport.get_write_buffer_size() or _unacknowledged(connection)
        ):
            await sleep(_POLL)
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
