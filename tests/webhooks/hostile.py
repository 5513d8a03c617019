"""Handlers that misbehave, on real loopback sockets: each behaviour is what one connection meets.

For the tests of the transport, and of whatever calls through it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self

Behaviour = Callable[["Peer"], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Between two drips: short against every deadline of the tests.
PACE = 0.02


class Peer:
    """One accepted connection, as a behaviour sees it."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        # How many connections the server had before this one.
        self.number = number

    def request(self) -> bytes:
        """Read one request to its end; b"" when the client has gone."""
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
        return whole

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the test is over; False when the time is up first."""
        return self.server.over.wait(seconds)

    def gone(self) -> None:
        """Wait until the client has closed, and say so to the test."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass
        self.server.left.set()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Server:
    """A loopback server that does one thing with every connection."""

    def __init__(
        self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self.left = threading.Event()
        self._behaviour = behaviour
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
        # Waking accept() by closing its socket isn't portable; connecting to it is. Without
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
        # The client leaving in the middle is what most of the tests are about.
        with contextlib.suppress(OSError):
            if self._tls is not None:
                peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
                self._sockets.append(peer.sock)
            self._behaviour(peer)
        with contextlib.suppress(OSError):
            peer.sock.close()


# --- behaviours -----------------------------------------------------------------------------


def polite(peer: Peer) -> None:
    """Answer every request of a connection."""
    while peer.request():
        peer.send(OK)


def says(*answers: bytes) -> Behaviour:
    """Answer one request with the pieces given, and close."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        for answer in answers:
            peer.send(answer)

    return behaviour


def says_and_stays(answer: bytes) -> Behaviour:
    """Answer one request, and keep the connection open."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        peer.gone()

    return behaviour


def hangs(peer: Peer) -> None:
    """Take the request and never answer."""
    peer.request()
    peer.gone()


def drips(head: bytes, drop: bytes = b"x") -> Behaviour:
    """Send `head`, then one piece at a time for ever."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while not peer.wait(PACE):
            peer.send(drop)

    return behaviour


def floods(head: bytes, piece: bytes) -> Behaviour:
    """Send `head`, then pieces for ever as fast as they are taken."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while not peer.server.over.is_set():
            peer.send(piece)

    return behaviour


def resets_after(data: bytes) -> Behaviour:
    """Send some of an answer, wait until the client has most likely seen it, then RST."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        if data:
            peer.send(data)
            peer.wait(0.1)
        peer.reset()

    return behaviour


def half_closes_after(data: bytes) -> Behaviour:
    """Send some of an answer, then FIN in one direction only."""

    def behaviour(peer: Peer) -> None:
        peer.request()
        peer.send(data)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.gone()

    return behaviour


def speaks_first(banner: bytes) -> Behaviour:
    """Send a banner before any request, as SSH and SMTP do."""

    def behaviour(peer: Peer) -> None:
        peer.send(banner)
        peer.gone()

    return behaviour
