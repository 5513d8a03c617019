"""What transports don't offer: a TCP reset, and the bytes that the peer has not acknowledged."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios


def reset(transport: asyncio.Transport) -> None:
    """Close immediately with a TCP reset, which a client cannot take for a response's end."""
    # Linger for 0 seconds: the system sends a reset, and discards unsent data.
    linger = struct.pack("ii", 1, 0)
    _socket(transport).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def unacknowledged_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes that have been written and not acknowledged by the peer's system."""
    pending = fcntl.ioctl(_socket(transport).fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(pending, sys.byteorder)


def _socket(transport: asyncio.Transport) -> socket.socket:
    found: socket.socket = transport.get_extra_info("socket")
    return found
