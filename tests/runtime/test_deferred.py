"""Deferred responses and streams: no thread waits, and nothing outlives its client."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from connect_sim import web
from connect_sim.server import django_app
from connect_sim.server.deferred import KEY
from tests.runtime.serving import (
    ask,
    connect,
    exchange,
    head,
    is_cancelled,
    is_closed,
    read,
    read_until,
    reset,
    serving,
    stoppable,
)

LONG = b"x" * (8 * 1024 * 1024)


@dataclass
class App:
    """A WSGI application that defers `/later` and `/held`, and responds to others at once."""

    futures: queue.Queue[Future[Any]] = field(default_factory=queue.Queue)
    threads: set[str] = field(default_factory=set)
    ended: queue.Queue[str] = field(default_factory=queue.Queue)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        path = environ["PATH_INFO"]
        self.threads.add(threading.current_thread().name)
        if path in ("/later", "/held", "/broken", "/lease"):
            future: Future[Any] = Future()
            environ[KEY].future, environ[KEY].needs_client = future, path == "/lease"
            self.futures.put(future)
        if path == "/broken":
            raise RuntimeError("on purpose")
        content = LONG if path == "/held" else path.encode()
        headers = [("Content-Type", "text/plain"), ("X-Own", "kept")]
        start("200 OK", [*headers, ("Content-Length", str(len(content)))])
        return self._chunks(path, content)

    def _chunks(self, path: str, content: bytes) -> Iterator[bytes]:
        for n in range(0, len(content), 65536):
            yield content[n : n + 65536]
        self.ended.put(path)

    def next(self) -> Future[Any]:
        return self.futures.get(timeout=10)


@pytest.fixture
def app() -> App:
    return App()


def send(line: socket.socket, path: str) -> None:
    line.sendall(head(path))


def test_result_replaces_the_response(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/later")
        app.next().set_result((408, "application/json", b'{"a": 1}'))
        status, headers, body = read(line)
        assert (status, body) == (408, b'{"a": 1}')
        expected = {"content-type": "application/json", "content-length": "8", "x-own": "kept"}
        assert headers.items() >= expected.items()
        # The connection is kept.
        assert exchange(line, head("/now"))[2] == b"/now"


def test_future_that_is_done_already_is_sent(app: App, settings: Any) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        future: Future[Any] = Future()
        future.set_result((201, "text/plain", b"done"))
        environ[KEY].future = future
        start("200 OK", [])
        return [b"placeholder"]

    with serving(wsgi, settings) as url:
        assert ask(url, head("/"))[::2] == (201, b"done")


# -- responses that consist of others


@dataclass
class Composed:
    """A WSGI application whose response to `/all` consists of two others."""

    ended: queue.Queue[BaseException] = field(default_factory=queue.Queue)
    arrived: queue.Queue[str] = field(default_factory=queue.Queue)
    futures: queue.Queue[Future[Any]] = field(default_factory=queue.Queue)
    may_wait: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/all":
            environ[KEY].work = self._respond
        if path == "/later":
            self.arrived.put(path)
            assert self.may_wait.wait(10)
            environ[KEY].future = Future()
            self.futures.put(environ[KEY].future)
        names = ("REQUEST_METHOD", "QUERY_STRING", "HTTP_AUTHORIZATION", "HTTP_HOST", "HTTP_COOKIE")
        body = environ["wsgi.input"].read().decode()
        parts = [path, body, *(environ.get(name, "") for name in names)]
        start("203 Other", [("Content-Type", "text/plain")])
        return [" ".join(parts).encode()]

    async def _respond(self, send: Any) -> Any:
        try:
            first = await send("GET", "/a%2Fb?c=d", b"")
            second = await send("POST", "/later", b"{}")
        except BaseException as error:
            self.ended.put(error)
            raise
        return 201, "text/plain", repr([first, second]).encode()


COMPOSED = head("/all", b"Authorization: key\r\nCookie: a=b\r\n")


def test_response_consists_of_those_to_the_same_client(settings: Any) -> None:
    app = Composed()
    app.may_wait.set()
    with serving(app, settings, threads=1) as url, connect(url) as line:
        line.sendall(COMPOSED)
        app.futures.get(timeout=10).set_result((200, "text/plain", b"later"))
        status, _, body = read(line)
        first = b"/a/b  GET c=d key localhost "
        assert (status, body) == (201, repr([(203, first), (200, b"later")]).encode())
        assert exchange(line, head("/now"))[0] == 203


@pytest.mark.parametrize("leave", [reset, socket.socket.close])
@pytest.mark.parametrize("moment", ["before the wait", "within the wait"])
def test_work_ends_when_its_client_leaves(settings: Any, leave: Any, moment: str) -> None:
    app = Composed()
    with serving(app, settings) as url:
        line = connect(url)
        line.sendall(COMPOSED)
        app.arrived.get(timeout=10)
        if moment == "within the wait":
            app.may_wait.set()
            future = app.futures.get(timeout=10)
        leave(line)
        app.ended.get(timeout=10)
        app.may_wait.set()
        if moment == "before the wait":
            future = app.futures.get(timeout=10)
        assert is_cancelled(future)


def test_stopping_server_ends_work_at_once(settings: Any) -> None:
    app = Composed()
    app.may_wait.set()
    with stoppable(app, settings) as (url, server), connect(url) as line:
        line.sendall(COMPOSED)
        future = app.futures.get(timeout=10)
        threading.Thread(target=server.stop).start()
        assert read(line)[0] == 503
        assert is_cancelled(future)


def test_held_response_frees_its_thread_and_is_sent_whole(app: App, settings: Any) -> None:
    with serving(app, settings, threads=1) as url, connect(url) as held, connect(url) as other:
        send(held, "/held")
        future = app.next()
        assert app.ended.get(timeout=10) == "/held"
        assert exchange(other, head("/now"))[2] == b"/now"
        future.set_result(None)
        status, headers, body = read(held)
        assert (status, headers["content-type"], body) == (200, "text/plain", LONG)


def test_two_hundred_waits_hold_no_thread(app: App, settings: Any) -> None:
    with serving(app, settings, threads=2) as url, contextlib.ExitStack() as stack:
        lines = [stack.enter_context(connect(url)) for _ in range(200)]
        for line in lines:
            send(line, "/later")
        futures = [app.next() for _ in lines]
        assert ask(url, head("/now"))[2] == b"/now"
        for n, future in enumerate(futures):
            future.set_result((200, "text/plain", str(n).encode()))
        assert sorted(int(read(line)[2]) for line in lines) == list(range(200))
        assert app.threads <= {"web-0", "web-1"}


def test_client_that_resets_cancels_its_wait(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/later")
        future = app.next()
        assert not future.done()
        reset(line)
        assert is_cancelled(future)


def test_client_that_reset_before_the_wait_began_cancels_it(app: App, settings: Any) -> None:
    may_run = threading.Event()

    def wsgi(environ: dict[str, Any], start: Any) -> Any:
        may_run.wait(10)
        return app(environ, start)

    with serving(wsgi, settings) as url, connect(url) as line:
        send(line, "/later")
        reset(line)
        may_run.set()
        assert is_cancelled(app.next())


@pytest.mark.parametrize("moment", ["before", "within"])
def test_client_that_half_closes_gets_the_result_of_its_wait(
    app: App, settings: Any, moment: str
) -> None:
    with serving(app, settings) as url, connect(url) as line, connect(url) as other:
        send(line, "/later")
        if moment == "before":
            line.shutdown(socket.SHUT_WR)
        future = app.next()
        if moment == "within":
            line.shutdown(socket.SHUT_WR)
        # The server has read the end of the first connection before this response is sent.
        assert exchange(other, head("/now"))[2] == b"/now"
        assert not future.done()
        future.set_result((200, "text/plain", b"result"))
        status, headers, body = read(line)
        assert (status, headers["connection"], body) == (200, "close", b"result")
        assert is_closed(line)


@pytest.mark.parametrize("moment", ["before", "within"])
def test_wait_that_needs_its_client_ends_when_that_half_closes(
    app: App, settings: Any, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/lease")
        if moment == "within":
            future = app.next()
        line.shutdown(socket.SHUT_WR)
        if moment == "before":
            future = app.next()
        status, headers, body = read(line)
        assert (status, headers["connection"]) == (400, "close")
        assert b"Keep it open to wait." in body
        assert is_cancelled(future)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_failing_view_cancels_its_wait(app: App, settings: Any) -> None:
    with serving(app, settings) as url:
        assert ask(url, head("/broken"))[0] == 500
        assert is_cancelled(app.next())


@pytest.mark.parametrize("error", [RuntimeError, TimeoutError, OSError])
def test_failing_future_returns_500(
    app: App, settings: Any, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/later")
        app.next().set_exception(error("on purpose"))
        status, _, content = read(line)
        assert (status, content) == (500, b"Unexpected server error. See the server's log.")
    assert "on purpose" in caplog.text


def test_stopping_server_ends_waits_at_once(app: App, settings: Any) -> None:
    with stoppable(app, settings) as (url, server), connect(url) as line:
        send(line, "/later")
        future = app.next()
        threading.Thread(target=server.stop).start()
        status, headers, body = read(line)
        assert (status, headers["connection"]) == (503, "close") and b"stopping" in body
        assert is_closed(line)
        assert is_cancelled(future)


def test_pipelined_request_waits_for_the_deferred_one(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/later")
        future = app.next()
        send(line, "/now")
        future.set_result((200, "text/plain", b"first"))
        # Both responses may arrive at once.
        received = read_until(line, lambda received: received.endswith(b"/now"))
        assert received.count(b"HTTP/1.1 200") == 2
        assert received.index(b"first") < received.index(b"/now")


def test_body_is_received_before_a_wait(app: App, settings: Any) -> None:
    with serving(app, settings) as url, connect(url) as line:
        line.sendall(head("/later", b"Content-Length: 2\r\n", "POST") + b"ab")
        app.next().set_result((200, "text/plain", b"ok"))
        assert read(line, "POST")[::2] == (200, b"ok")


# -- streams


@dataclass
class Streams:
    """A WSGI application whose responses are streams; `ended` gets their paths."""

    piece: bytes = b"piece"
    ended: queue.Queue[str] = field(default_factory=queue.Queue)

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        environ[KEY].stream = self._pieces(environ["PATH_INFO"])
        start("200 OK", [("Content-Type", "text/event-stream"), ("Content-Length", "0")])
        return [b""]

    async def _pieces(self, path: str) -> AsyncGenerator[bytes]:
        try:
            yield self.piece
            if path == "/short":
                return
            if path == "/much":
                while True:
                    yield b"x" * 65536
            await asyncio.Event().wait()
        finally:
            self.ended.put(path)


def test_stream_has_no_length_and_its_end_keeps_the_connection(settings: Any) -> None:
    with serving(Streams(), settings) as url, connect(url) as line:
        for _ in range(2):
            status, headers, body = exchange(line, head("/short"))
            assert (status, headers["content-type"], body) == (200, "text/event-stream", b"piece")
            assert "content-length" not in headers


def test_failing_view_sends_nothing_of_its_stream(settings: Any) -> None:
    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        Streams()(environ, start)
        raise RuntimeError("on purpose")

    with serving(wsgi, settings) as url:
        status, _, body = ask(url, head("/short"))
    assert (status, body) == (500, b"Unexpected server error. See the server's log.")


def test_stream_ends_when_its_client_leaves(settings: Any) -> None:
    app = Streams()
    with serving(app, settings) as url:
        with connect(url) as line:
            send(line, "/long")
            read_until(line, lambda received: b"piece" in received)
        assert app.ended.get(timeout=10) == "/long"


def test_stream_of_a_client_that_does_not_read_ends(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_app, "STALLED", 0.3)
    app = Streams()
    with serving(app, settings) as url, connect(url) as line:
        send(line, "/much")
        assert app.ended.get(timeout=10) == "/much"
        assert is_closed(line)


def test_stopping_server_ends_streams_at_once(settings: Any) -> None:
    app = Streams()
    with stoppable(app, settings) as (url, server), connect(url) as line:
        send(line, "/long")
        read_until(line, lambda received: b"piece" in received)
        threading.Thread(target=server.stop).start()
        assert app.ended.get(timeout=web.GRACE) == "/long"
        assert is_closed(line)
