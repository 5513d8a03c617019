"""Delayed, sliced, cut and reset responses at the socket."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from connect_sim.server import deferred
from connect_sim.server.deferred import Client
from connect_sim.server.protocol import Connection
from connect_sim.server.response import Response
from connect_sim.server.transmission import KEY, Transmission
from tests.background import in_loop
from tests.runtime.serving import (
    ask,
    connect,
    exchange,
    head,
    is_cancelled,
    is_closed,
    read,
    serving,
    stoppable,
)

Change = Callable[[Transmission], None]
BODY = b"0123456789"


@dataclass
class App:
    """A WSGI application whose paths choose how the response is sent.

    `/later…` is delayed by a future, `/undeclared` has no declared length.
    """

    changes: dict[str, Change] = field(default_factory=dict)
    futures: queue.Queue[Future[None]] = field(default_factory=queue.Queue)
    threads: set[str] = field(default_factory=set)
    ended: queue.Queue[str] = field(default_factory=queue.Queue)
    content: bytes = BODY

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        name = environ["PATH_INFO"].strip("/")
        self.threads.add(threading.current_thread().name)
        transmission: Transmission = environ[KEY]
        if name.startswith("later"):
            future: Future[None] = Future()
            transmission.wait(future, 0 if name == "latertimeout" else None)
            self.futures.put(future)
        if change := self.changes.get(name):
            change(transmission)
        start("200 OK", [("Content-Type", "text/plain"), *self._length(name)])
        return self._chunks(name)

    def _length(self, name: str) -> list[tuple[str, str]]:
        return [] if name == "undeclared" else [("Content-Length", str(len(self.content)))]

    def _chunks(self, name: str) -> Iterator[bytes]:
        size = max(4, len(self.content) // 16)
        for n in range(0, len(self.content), size):
            yield self.content[n : n + size]
        self.ended.put(name)

    def next(self) -> Future[None]:
        return self.futures.get(timeout=10)


def limited(limit: int) -> Change:
    return lambda transmission: transmission.limit(limit)


def sliced(size: int) -> Change:
    return lambda transmission: transmission.slice(size, 3600)


@pytest.fixture
def app() -> App:
    return App({"reset": Transmission.reset, "laterreset": Transmission.reset})


def send(line: socket.socket, path: str) -> None:
    line.sendall(head(path))


def received_until_reset(line: socket.socket) -> bytes:
    """Read until the connection is reset; it must not be closed in another way."""
    received = b""
    with pytest.raises(ConnectionResetError):
        while True:
            data = line.recv(65536)
            assert data, "The connection was closed without a reset."
            received += data
    return received


@pytest.mark.parametrize("content", [BODY, b"", b"x" * 1024 * 1024])
def test_connection_is_reset_before_the_first_byte(app: App, settings: Any, content: bytes) -> None:
    app.content = content
    with serving(app, settings) as url:
        with connect(url) as line:
            send(line, "/reset")
            assert received_until_reset(line) == b""
        # The server serves the next connection, and its threads are free.
        with connect(url) as line:
            assert exchange(line, head("/now"))[2] == content


def test_reset_follows_complete_responses_of_a_kept_connection(
    app: App, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(app, settings) as url, connect(url) as line:
        for _ in range(2):
            assert exchange(line, head("/now"))[2] == BODY
        # The pipelined request behind it is not served. Both are sent at once, since the
        # connection may be reset before a second packet is sent.
        line.sendall(head("/reset") + head("/behind"))
        assert received_until_reset(line) == b""
    ended = [app.ended.get(timeout=10) for _ in range(app.ended.qsize())]
    assert "behind" not in ended
    assert not caplog.records


def test_reset_of_a_body_that_the_client_still_sends(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        line.sendall(head("/reset", b"Content-Length: 2\r\n", "POST") + b"ab")
        assert received_until_reset(line) == b""


@pytest.mark.parametrize("name", ["limit", "undeclared"])
@pytest.mark.parametrize("limit", [0, 1, 4, 9])
def test_body_is_cut_after_exactly_so_many_bytes(
    app: App, settings: Any, name: str, limit: int
) -> None:
    app.changes[name] = limited(limit)
    with serving(app, settings) as url, connect(url) as line:
        send(line, f"/{name}")
        begin, _, body = received_until_reset(line).partition(b"\r\n\r\n")
        assert begin.startswith(b"HTTP/1.1 200 OK") and b"content-length: 10" in begin
        assert body == BODY[:limit]


@pytest.mark.parametrize("limit", [10, 11])
def test_body_within_the_limit_is_complete(app: App, settings: Any, limit: int) -> None:
    app.changes["limit"] = limited(limit)
    with serving(app, settings) as url, connect(url) as line:
        for _ in range(2):
            assert exchange(line, head("/limit"))[2] == BODY


def test_large_body_is_cut_after_exactly_so_many_bytes(app: App, settings: Any) -> None:
    app.content = b"x" * (1024 * 1024)
    app.changes["limit"] = limited(700_000)
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/limit")
        body = received_until_reset(line).partition(b"\r\n\r\n")[2]
        assert len(body) == 700_000


@pytest.mark.parametrize("name", ["limit", "slices"])
def test_head_response_has_no_body_to_cut_or_slice(app: App, settings: Any, name: str) -> None:
    app.changes = {"limit": limited(0), "slices": sliced(1)}
    with serving(app, settings) as url, connect(url) as line:
        for _ in range(2):
            sent = head(f"/{name}", method="HEAD")
            status, headers, body = exchange(line, sent, "HEAD")
            assert (status, headers["content-length"], body) == (200, "10", b"")


class Pauses:
    """Pauses between slices, which end when a test lets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: queue.Queue[Future[None]] = queue.Queue()
        begun = self.begun

        original = Client.pause

        async def pause(client: Client, seconds: Any, future: Any = None) -> None:
            if future is None:
                future = Future[None]()
                begun.put(future)
            await original(client, seconds, future)

        monkeypatch.setattr(Client, "pause", pause)

    def next(self) -> Future[None]:
        return self.begun.get(timeout=10)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    return Pauses(monkeypatch)


def exactly(line: socket.socket, size: int) -> bytes:
    """Read so many bytes, and check that no more have arrived."""
    data = b""
    while len(data) < size:
        data += line.recv(size - len(data))
    assert not select.select([line], [], [], 0)[0]
    return data


def read_head(line: socket.socket) -> None:
    begin = b""
    while not begin.endswith(b"\r\n\r\n"):
        begin += line.recv(1)


def test_slices_are_sent_one_after_the_other(app: App, settings: Any, pauses: Pauses) -> None:
    app.changes["slices"] = sliced(4)
    with serving(app, settings, threads=1) as url, connect(url) as line, connect(url) as other:
        send(line, "/slices")
        read_head(line)
        assert exactly(line, 4) == b"0123"
        # The only thread of the server is free meanwhile.
        assert exchange(other, head("/now"))[2] == BODY
        pauses.next().set_result(None)
        assert exactly(line, 4) == b"4567"
        pauses.next().set_result(None)
        assert exactly(line, 2) == b"89"
        assert exchange(line, head("/now"))[2] == BODY


@in_loop
async def test_slices_without_a_pause_let_other_requests_run() -> None:
    manner, messages = Transmission(), list[Any]()

    async def send(message: Any) -> None:
        messages.append(message)

    async def other() -> int:
        return len(messages)

    manner.slice(1, 0)
    task = asyncio.create_task(other())
    response = Response(200, b"text/plain", BODY)
    with response.body:
        await manner.send(response, send, None, "GET")  # type: ignore[arg-type]
    # The start of the response, and a message for each slice.
    assert len(messages) == 1 + len(BODY)
    assert await task < len(messages)


def test_limit_cuts_within_slices(app: App, settings: Any, pauses: Pauses) -> None:
    def change(transmission: Transmission) -> None:
        transmission.slice(4, 3600)
        transmission.limit(6)

    app.changes["both"] = change
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/both")
        read_head(line)
        assert exactly(line, 4) == b"0123"
        pauses.next().set_result(None)
        assert received_until_reset(line) == b"45"


def test_fifty_delayed_responses_hold_no_thread(app: App, settings: Any) -> None:
    with serving(app, settings, threads=2) as url, contextlib.ExitStack() as stack:
        lines = [stack.enter_context(connect(url)) for _ in range(50)]
        for line in lines:
            send(line, "/later")
        futures = [app.next() for _ in lines]
        assert ask(url, head("/now"))[2] == BODY
        for line in lines:
            assert not select.select([line], [], [], 0)[0]
        for future in futures:
            future.set_result(None)
        assert all(read(line)[2] == BODY for line in lines)
        assert app.threads <= {"web-0", "web-1"}


def test_delayed_response_is_reset_when_its_future_is_done(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/laterreset")
        future = app.next()
        assert not select.select([line], [], [], 0)[0]
        future.set_result(None)
        assert received_until_reset(line) == b""


def test_response_is_sent_when_the_timeout_of_its_delay_has_passed(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        assert exchange(line, head("/latertimeout"))[2] == BODY
        assert is_cancelled(app.next())


@pytest.mark.parametrize("pipelined", [False, True])
def test_client_that_leaves_cancels_the_delay(app: App, settings: Any, pipelined: bool) -> None:
    with serving(app, settings) as url:
        with connect(url) as line:
            send(line, "/later")
            if pipelined:
                send(line, "/behind")
            future = app.next()
        assert is_cancelled(future)


def test_client_that_half_closes_gets_a_delayed_response_at_once(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/later")
        future = app.next()
        line.shutdown(socket.SHUT_WR)
        assert read(line)[::2] == (200, BODY)
        assert is_cancelled(future)


def test_client_that_half_closes_between_slices_gets_the_rest_at_once(
    app: App, settings: Any, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    app.changes["slices"] = sliced(4)
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/slices")
        pause = pauses.next()
        line.shutdown(socket.SHUT_WR)
        assert read(line)[::2] == (200, BODY)
        assert is_cancelled(pause)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_client_that_leaves_after_a_later_request_cancels_the_delay(
    app: App, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting, is_behind = threading.Event(), threading.Event()
    left, headers = Client._left, Connection.on_headers_complete

    async def waiting(client: Client, on_half_close: bool) -> None:
        is_waiting.set()
        await left(client, on_half_close)

    def behind(connection: Connection) -> None:
        headers(connection)
        if connection.pipeline:
            is_behind.set()

    monkeypatch.setattr(Client, "_left", waiting)
    monkeypatch.setattr(deferred, "READ_AGAIN", 0.05)
    monkeypatch.setattr(Connection, "on_headers_complete", behind)
    with serving(app, settings) as url:
        with connect(url) as line:
            send(line, "/later")
            future = app.next()
            assert is_waiting.wait(10)
            send(line, "/behind")
            assert is_behind.wait(10)
        assert is_cancelled(future)


def test_stopping_server_sends_delayed_responses(
    app: App, settings: Any, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    app.changes["slices"] = sliced(4)
    with (
        stoppable(app, settings) as (url, server),
        connect(url) as held,
        connect(url) as slow,
    ):
        send(held, "/later")
        future = app.next()
        send(slow, "/slices")
        pauses.next()
        threading.Thread(target=server.stop).start()
        assert read(held)[2] == BODY
        assert read(slow)[2] == BODY
        assert is_closed(held)
        assert is_closed(slow)
        assert future.cancelled()
    assert not caplog.records
