"""Slow clients: they hold no thread, and incomplete heads and bodies end with 408."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from connect_sim.server import bodies, django_app
from connect_sim.server.protocol import MAX_HEAD, Connection
from tests.background import in_loop
from tests.engines import until
from tests.runtime.serving import (
    ask,
    ask_last,
    connect,
    exchange,
    head,
    is_closed,
    read,
    reset,
    serving,
)
from tests.runtime.test_http import echo

REQUEST = head("/")


@pytest.fixture
def limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set short limits."""
    settings.SIM_HEAD_TIMEOUT = 0.4
    settings.SIM_IDLE_TIMEOUT = 1
    monkeypatch.setattr(bodies, "PAUSE", 0.4)
    return settings


@pytest.fixture
def url(limits: Any) -> Iterator[str]:
    with serving(echo, limits) as address:
        yield address


def trickle(line: socket.socket) -> bytes:
    """Send a byte every 50 ms until there is a response; return its beginning."""
    line.settimeout(0.05)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        line.sendall(b"x")
        try:
            return line.recv(65536)
        except TimeoutError:
            continue
    raise AssertionError("no response")


# -- heads


def test_incomplete_head_gets_408_after_the_timeout(url: str) -> None:
    assert ask_last(url, b"GET / HTTP/1.1\r\nHos")[0] == 408


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nX-Slow: ", head("/", b"Content-Length: 9000\r\n", "POST")],
    ids=["head", "body"],
)
def test_byte_by_byte_does_not_extend_the_timeout(url: str, sent: bytes) -> None:
    with connect(url) as line:
        line.sendall(sent)
        assert trickle(line).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"\r\n", REQUEST])
def test_connection_without_a_further_request_is_closed(url: str, sent: bytes) -> None:
    with connect(url, 5) as line:
        line.sendall(sent)
        if sent == REQUEST:
            assert read(line)[0] == 200
        assert line.recv(100) == b""


def test_idle_timeout_may_be_a_fraction_of_a_second(
    limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits.SIM_IDLE_TIMEOUT = 0.5
    made = queue.Queue[float]()
    monkeypatch.setattr(
        Connection, "connection_made", lambda line, _: made.put(line.timeout_keep_alive)
    )
    with serving(echo, limits) as url, connect(url):
        assert made.get(timeout=10) == 0.5


def test_connection_that_is_used_is_not_idle(limits: Any) -> None:
    with serving(echo, limits) as url, connect(url) as line:
        for _ in range(8):
            assert exchange(line, REQUEST)[0] == 200
            line.settimeout(0.2)
            with pytest.raises(TimeoutError):
                line.recv(1)
            line.settimeout(5)


def test_second_head_on_keep_alive_connection_has_a_timeout(url: str) -> None:
    with connect(url, 5) as line:
        assert exchange(line, REQUEST + b"GET /")[0] == 200
        assert read(line)[0] == 408
        assert is_closed(line)


def test_running_request_has_no_timeout(limits: Any) -> None:
    others_timed_out = threading.Event()

    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        assert others_timed_out.wait(10)
        return echo(environ, start)

    with serving(wsgi, limits) as url, connect(url) as line:
        # The next request has begun.
        line.sendall(REQUEST + b"GET /next")
        for _ in range(2):
            assert ask(url, b"GET / HTTP/1.1\r\nHos")[0] == 408
        others_timed_out.set()
        assert read(line)[0] == 200


# -- bodies


@pytest.mark.parametrize("framing", [b"Content-Length: 9000", b"Transfer-Encoding: chunked"])
def test_body_that_stops_gets_408(url: str, framing: bytes) -> None:
    sent = head("/public/v1/x", framing + b"\r\n", "POST") + b"1\r\na\r\n"
    status, headers, content = ask_last(url, sent)
    assert (status, headers["content-type"]) == (408, "application/json")
    assert json.loads(content)["error_code"] == "REQ_408"


def test_body_at_the_minimum_rate_is_received(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PAUSE", 1)
    monkeypatch.setattr(bodies, "RATE", 100)
    with serving(echo, settings) as url, connect(url, 0.15) as line:
        line.sendall(head("/", b"Content-Length: 300\r\n", "POST"))
        for _ in range(9):
            line.sendall(b"x" * 30)
            with pytest.raises(TimeoutError):
                line.recv(1)
        line.settimeout(10)
        assert b'"size": 300' in exchange(line, b"x" * 30)[2]


def test_discard_of_a_refused_body_has_a_timeout(limits: Any) -> None:
    limits.SIM_MAX_BODY = 1000
    with serving(echo, limits) as url, connect(url, 5) as line:
        assert exchange(line, head("/", b"Content-Length: 100000\r\n", "POST"))[0] == 200
        line.sendall(b"x")
        assert is_closed(line)


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
def test_client_that_leaves_within_its_body_gets_no_status(
    settings: Any, caplog: pytest.LogCaptureFixture, leave: Callable[[socket.socket], None]
) -> None:
    caplog.set_level(logging.INFO, "connect_sim.requests")
    with serving(echo, settings) as url:
        line = connect(url)
        line.sendall(head("/public/v1/x", b"Content-Length: 9\r\n", "POST") + b"{")
        leave(line)
        until(lambda: caplog.records, "the request is logged")
    [record] = caplog.records
    assert (record.path, record.status) == ("/public/v1/x", None)  # type: ignore[attr-defined]


# -- responses


def test_client_that_reads_no_response_is_disconnected(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborted, original = threading.Event(), Connection.abort
    monkeypatch.setattr(Connection, "abort", lambda line: (original(line), aborted.set()))
    monkeypatch.setattr(django_app, "STALLED", 0.3)
    received = []

    def wsgi(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        return iter([b"x" * 1_000_000] * (30 if environ["PATH_INFO"] == "/" else 0))

    with serving(wsgi, settings) as url, connect(url) as line, connect(url) as other:
        line.sendall(REQUEST)
        # The only thread is free.
        assert exchange(other, head("/other"))[0] == 200
        assert aborted.wait(10)
        with suppress(ConnectionError):
            while data := line.recv(1_000_000):
                received.append(len(data))
    assert sum(received) < 30_000_000


class Transport(asyncio.Transport):
    """A transport whose client does not read, so that it cannot be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []
        self.aborted = asyncio.Event()
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.written.append(data)

    def close(self) -> None:
        self._is_closing = True

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        self.aborted.set()


def connected(transport: Transport, app: Any = None) -> Connection:
    """Return a connection that is aborted at once if its client does not read."""
    config = Config(app, interface="asgi3", log_config=None, timeout_keep_alive=0)
    connection = Connection(config, ServerState(), {})
    connection.connection_made(transport)
    return connection


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([b"x\r\n\r\n"], b"400"),
        ([b"GET / HTTP/1.1\r\nX-A: ", b"x" * MAX_HEAD], b"431"),
        ([b"\x16\x03\x01\x02"], b"400"),
    ],
    ids=["malformed", "too large", "TLS"],
)
@in_loop
async def test_refused_connection_ends_after_one_error_though_the_client_does_not_read(
    settings: Any, sent: list[bytes], status: bytes
) -> None:
    settings.SIM_HEAD_TIMEOUT = 0
    transport = Transport()
    connection = connected(transport)
    for data in sent:
        connection.data_received(data)
    async with asyncio.timeout(5):
        await transport.aborted.wait()
    [error] = transport.written
    assert error.startswith(b"HTTP/1.1 " + status)


@in_loop
async def test_request_whose_body_is_refused_ends_though_the_client_does_not_read() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.disconnect"

    transport = Transport()
    connection = connected(transport, app)
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
    connection.eof_received()
    await asyncio.gather(*connection.tasks)
    [error] = transport.written
    assert error.startswith(b"HTTP/1.1 400 ")
