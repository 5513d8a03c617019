"""Misbehaving handlers on real loopback sockets: a behavior handles one connection.

Used by the tests of the HTTP client and of its callers.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self

Behavior = Callable[["Peer"], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Between two drips: much shorter than the deadlines of the tests.
PACE = 0.02


class Peer:
    """One accepted connection."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        # The number of earlier connections of the server.
        self.number = number

    def request(self) -> bytes:
        """Read one complete request; b"" if the client has disconnected."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += self.sock.recv(65536)
        whole = head + b"\r\n\r\n" + body
        self.server.requests.append(whole)
        self.server.asked.set()
        return whole

    def send(self, data: bytes) -> None:
        """Send all data."""
        self.sock.sendall(data)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the test is over; False after the timeout."""
        return self.server.over.wait(seconds)

    def gone(self) -> None:
        """Wait until the client has closed the connection, and notify the test."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        self.server.disconnected.set()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Server:
    """A loopback server with one behavior for all connections."""

    def __init__(
        self, behavior: Behavior, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self.asked = threading.Event()
        self.disconnected = threading.Event()
        self._behavior = behavior
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Return the address of the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        # Closing the socket doesn't wake accept() on every system; connecting does. Without
        # getaddrinfo, which a test may have replaced.
        with socket.socket(self._listener.family) as waker:
            waker.connect((self.host, self.port))
        self._threads[0].join(2)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(2)
            assert not thread.is_alive(), "a thread of the server hangs"

    def _accept(self) -> None:
        while not self.over.is_set():
            sock, _ = self._listener.accept()
            if self.over.is_set():
                sock.close()
                return
            self._sockets.append(sock)
            peer = Peer(self, sock, self.connections)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        # Most of the tests are about clients that disconnect.
        with contextlib.suppress(OSError):
            if self._tls is not None:
                peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
                self._sockets.append(peer.sock)
            self._behavior(peer)
        with contextlib.suppress(OSError):
            peer.sock.close()


# --- behaviors -----------------------------------------------------------------------------


def polite(peer: Peer) -> None:
    """Respond to every request of a connection."""
    while peer.request():
        peer.send(OK)


def responds(*responses: bytes) -> Behavior:
    """Respond to one request in pieces, and close."""

    def behavior(peer: Peer) -> None:
        peer.request()
        for response in responses:
            peer.send(response)

    return behavior


def responds_and_stays(response: bytes) -> Behavior:
    """Respond to one request, and keep the connection open."""

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(response)
        peer.gone()

    return behavior


def hangs(peer: Peer) -> None:
    """Read the request and never respond."""
    peer.request()
    peer.gone()


def drips(head: bytes, drop: bytes = b"x") -> Behavior:
    """Send `head`, then one piece at a time without end."""

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while not peer.wait(PACE):
            peer.send(drop)

    return behavior


def floods(head: bytes, piece: bytes) -> Behavior:
    """Send `head`, then pieces without end, as fast as possible."""

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while not peer.server.over.is_set():
            peer.send(piece)

    return behavior


def resets_after(data: bytes) -> Behavior:
    """Send part of a response, wait until the client has most likely read it, then RST."""

    def behavior(peer: Peer) -> None:
        peer.request()
        if data:
            peer.send(data)
            peer.wait(0.1)
        peer.reset()

    return behavior


def half_closes_after(data: bytes) -> Behavior:
    """Send part of a response, then FIN in one direction only."""

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.gone()

    return behavior


def speaks_first(banner: bytes) -> Behavior:
    """Send a banner before any request, as SSH and SMTP do."""

    def behavior(peer: Peer) -> None:
        peer.send(banner)
        peer.gone()

    return behavior
