"""Requests that are sent in pieces, or up to a reset of the connection, on real sockets."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
from pathlib import Path

import pytest

from sandbox.faults import delivery_side
from sandbox.faults.delivery_side import Transmission
from tests.webhooks.certificates import certificate
from tests.webhooks.hostile import OK, Peer, Server, polite
from tests.webhooks.loopback import (  # noqa: F401  (two of them are fixtures)
    LOOPBACK,
    Outcome,
    Run,
    loopback_only,
    run,
)
from webhooks.http.client import Request, RequestFailed, Transport

WHOLE = 2**31


async def send(
    url: str, body: bytes | None, how: Transmission, *, count: int = 1, tls: ssl.SSLContext | None
) -> list[Outcome]:
    """Send a usual request, whose connection is kept, and then `count` by the transmission."""
    transport = Transport(LOOPBACK, tls=tls)
    method = "GET" if body is None else "POST"
    outcomes = []
    try:
        for transmission in (None, *[how] * count):
            request = Request(method, url, {}, body if transmission else None, transmission)
            try:
                outcomes.append(Outcome(await transport.send(request, timeout=5), None, 0))
            except RequestFailed as failure:
                outcomes.append(Outcome(None, failure, 0))
    finally:
        await transport.close()
    assert outcomes[0].success.status == 200
    return outcomes[1:]


class Reader:
    """A handler that answers its first request, and reads what comes on the other connections."""

    def __init__(self) -> None:
        self.connections: queue.Queue[tuple[bytes, type[OSError] | None]] = queue.Queue()

    def __call__(self, peer: Peer) -> None:
        if not peer.number:
            while peer.request():
                peer.send(OK)
            return
        data = b""
        try:
            while piece := peer.sock.recv(65536):
                data += piece
            error = None
        except OSError as caught:
            error = type(caught)
        self.connections.put((data, error))

    def next(self) -> tuple[bytes, bytes, type[OSError] | None]:
        """Return head and body of the next connection that has ended, and its error."""
        data, error = self.connections.get(timeout=5)
        head, _, body = data.partition(b"\r\n\r\n")
        return head, body, error


@pytest.mark.parametrize(
    ("body", "limit", "expected"),
    [
        (b"0123456789", 0, b""),
        (b"0123456789", 4, b"0123"),
        (b"0123456789", 10, b"0123456789"),
        (b"0123456789", WHOLE, b"0123456789"),
        (b"x" * 3_000_000, 2_000_000, b"x" * 2_000_000),
        (b"", WHOLE, b""),
        (None, WHOLE, b""),
    ],
)
def test_connection_is_reset_after_so_many_bytes(
    run: Run, body: bytes | None, limit: int, expected: bytes
) -> None:
    reader = Reader()
    with Server(reader) as server:
        outcomes = run(send(server.url, body, Transmission(reset_after=limit), count=2, tls=None))
        received = [reader.next() for _ in outcomes]
        host = f"127.0.0.1:{server.port}"
    assert [outcome.sentence for outcome in outcomes] == [
        f"{host} closed the connection without a response."
    ] * 2
    for head, got, error in received:
        assert f"\r\nContent-Length: {len(body or b'')}\r\n".encode() in head
        assert (len(got), error) == (len(expected), ConnectionResetError)
        assert got == expected
    # Not sent a second time.
    assert server.connections == 3 and reader.connections.empty()


def test_reset_over_tls(run: Run, tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path)
    reader = Reader()
    with Server(reader, tls=server_tls) as server:
        [outcome] = run(send(server.url, b"0123", Transmission(reset_after=2), tls=client_tls))
        # OpenSSL reports a reset as an end.
        assert reader.next()[1] == b"01"
    assert outcome.sentence.endswith("closed the connection without a response.")


def test_body_arrives_in_pieces(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    pauses: list[float] = []
    is_read = threading.Semaphore(0)

    async def until_read(seconds: float) -> None:
        pauses.append(seconds)
        assert await asyncio.to_thread(is_read.acquire, timeout=5)

    def read(peer: Peer) -> None:
        if not peer.number:
            polite(peer)
            return
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += peer.sock.recv(1)
        while b"".join(pieces) != b"0123456789":
            pieces.append(peer.sock.recv(65536))
            is_read.release()
        peer.send(OK)

    monkeypatch.setattr(delivery_side, "sleep", until_read)
    with Server(read) as server:
        how = Transmission(piece=4, pause=0.02)
        [outcome] = run(send(server.url, b"0123456789", how, tls=None))
    assert outcome.success.body == b"ok"
    assert (pieces, pauses) == ([b"0123", b"4567", b"89"], [0.02, 0.02])


def test_pieces_are_cut_by_a_reset(run: Run) -> None:
    reader = Reader()
    with Server(reader) as server:
        run(send(server.url, b"0123456789", Transmission(3, 0, 7), tls=None))
        assert reader.next()[1:] == (b"0123456", ConnectionResetError)


def test_peer_that_leaves_before_the_reset(run: Run) -> None:
    def leave(peer: Peer) -> None:
        if peer.number:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sock.recv(1)
            peer.reset()
        else:
            polite(peer)

    with Server(leave) as server:
        how = Transmission(reset_after=WHOLE)
        [outcome] = run(send(server.url, b"x" * 5_000_000, how, tls=None))
    assert outcome.sentence.endswith("closed the connection without a response.")
