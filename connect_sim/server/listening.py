"""Sockets that listen on the addresses of SIM_BIND; knows no Django."""

from __future__ import annotations

import errno
import socket
from typing import Any

# Connections that the kernel accepts while the event loop is busy.
BACKLOG = 2048
# Sockets of addresses whose port was chosen before the settings were read.
_reserved: dict[str, list[socket.socket]] = {}


def reserve(bind: str, tries: int = 10) -> str:
    """Listen on a free port, the same one on all hosts of SIM_BIND; return SIM_BIND with it.

    `listen()` then returns these sockets: no other program can take the port in between. Raises
    what `listen()` raises.
    """
    first = listen(with_port(bind, 0).split()[0])
    chosen = with_port(bind, first[0].getsockname()[1])
    # The addresses of a name have different ports.
    close(first)
    try:
        _reserved[chosen] = listen(chosen)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and tries > 1:
            return reserve(bind, tries - 1)
        raise
    return chosen


def with_port(bind: str, port: int) -> str:
    """Return SIM_BIND with another port."""
    hosts = dict.fromkeys(entry.rpartition(":")[0] for entry in bind.split())
    return " ".join(f"{host}:{port}" for host in hosts)


def listen(bind: str) -> list[socket.socket]:
    """Return sockets that listen on every address of SIM_BIND.

    `*` means all addresses, IPv6 addresses are in brackets, and a name may have several addresses.
    Raises OSError if an address cannot be bound, ValueError if it is malformed.
    """
    if bind in _reserved:
        return _reserved.pop(bind)
    sockets: list[socket.socket] = []
    try:
        for entry in bind.split():
            sockets += _listen(entry)
    except BaseException:
        close(sockets)
        raise
    return sockets


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def _listen(entry: str) -> list[socket.socket]:
    addresses = _addresses(entry)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in addresses:
        try:
            # It listens: two processes can bind the same address before one of them listens.
            sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError as error:
            # A name may have an address of a family that this machine does not support.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(addresses) > 1:
                missing = error
                continue
            close(sockets)
            raise
    if not sockets and missing is not None:
        raise missing
    return sockets


def _addresses(entry: str) -> list[tuple[int, Any]]:
    host, _, port = entry.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    # The system would map 99999 to another port.
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{entry!r} is not host:port")
    try:
        results = socket.getaddrinfo(
            None if host == "*" else host,
            int(port),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except UnicodeError:
        raise ValueError(f"{entry!r} is not host:port") from None
    # The system may return an address twice.
    return list(dict.fromkeys((family, address) for family, _, _, _, address in results))
