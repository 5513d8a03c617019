"""Slow clients: their connections are closed in time, and other clients are served."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest

from connect_sim.server import connections
from connect_sim.server.connections import Limits
from tests.engines import until
from tests.runtime.serving import App, connect, is_closed, read, serving
from tests.runtime.test_http import HEAD, echo

REQUEST = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"


@pytest.fixture
def limits(settings: Any) -> Any:
    """Set short limits."""
    settings.SIM_HEAD_TIMEOUT = 0.4
    settings.SIM_IDLE_TIMEOUT = 0.4
    settings.SIM_BODY_WINDOW = 0.4
    return settings


@pytest.fixture
def url(limits: Any) -> Iterator[str]:
    with serving(echo, limits) as address:
        yield address


def responds(url: str) -> bool:
    with connect(url) as line:
        line.sendall(REQUEST)
        return read(line)[0] == 200


# -- heads


def test_incomplete_head_gets_408_after_the_timeout(url: str) -> None:
    with connect(url, 2) as line:
        started = time.monotonic()
        line.sendall(b"GET / HTTP/1.1\r\nHos")
        status, headers, _ = read(line)
        assert (status, headers["connection"]) == (408, "close")
        assert 0.3 < time.monotonic() - started < 2
        assert is_closed(line)


def test_byte_by_byte_head_does_not_extend_the_timeout(url: str) -> None:
    with connect(url, 0.05) as line:
        deadline = time.monotonic() + 3
        line.sendall(b"GET / HTTP/1.1\r\n")
        received = b""
        while not received and time.monotonic() < deadline:
            line.sendall(b"X")
            try:
                received = line.recv(100)
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 ")


def test_connection_without_request_is_closed(url: str) -> None:
    with connect(url, 2) as line:
        assert line.recv(100) == b""


def test_idle_connection_is_closed_and_used_one_is_not(settings: Any) -> None:
    settings.SIM_IDLE_TIMEOUT = 1
    with serving(echo, settings) as url, connect(url, 2) as line:
        for _ in range(8):
            line.sendall(REQUEST)
            assert read(line)[0] == 200
            assert not _readable(line, 0.15)
        assert line.recv(100) == b""


def test_second_head_on_keep_alive_connection_has_a_timeout(url: str) -> None:
    with connect(url, 2) as line:
        line.sendall(REQUEST + b"GET /")
        assert read(line)[0] == 200
        assert read(line)[0] == 408
        assert is_closed(line)


def test_running_request_has_no_timeout(limits: Any) -> None:
    others_timed_out = Event()

    def wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        assert others_timed_out.wait(10)
        return echo(environ, start)

    with serving(wsgi, limits) as url, connect(url) as line:
        # The next request has begun.
        line.sendall(REQUEST + b"GET /next")
        for _ in range(2):
            with connect(url, 5) as other:
                other.sendall(b"GET / HTTP/1.1\r\nHos")
                assert read(other)[0] == 408
        others_timed_out.set()
        assert read(line)[0] == 200


def _readable(line: socket.socket, seconds: float) -> bool:
    line.settimeout(seconds)
    try:
        return bool(line.recv(1, socket.MSG_PEEK)) or True
    except TimeoutError:
        return False
    finally:
        line.settimeout(2)


# -- bodies


@pytest.mark.parametrize("framing", [b"Content-Length: 9000", b"Transfer-Encoding: chunked"])
def test_body_below_the_minimum_rate_gets_408(url: str, framing: bytes) -> None:
    with connect(url, 2) as line:
        line.sendall(b"POST /public/v1/x HTTP/1.1\r\n" + HEAD + framing + b"\r\n\r\n")
        line.sendall(b"1\r\na\r\n")
        status, headers, content = read(line)
        assert (status, headers["content-type"]) == (408, "application/json")
        assert b'"error_code": "REQ_408"' in content
        assert is_closed(line)


def test_body_at_the_minimum_rate_is_received(settings: Any) -> None:
    """The rate applies to each window, not to the total duration."""
    settings.SIM_BODY_WINDOW, settings.SIM_BODY_RATE = 0.7, 50
    with serving(echo, settings) as url, connect(url) as line:
        line.sendall(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 600\r\n\r\n")
        for _ in range(14):
            line.sendall(b"x" * 40)
            assert not _readable(line, 0.12)
        line.sendall(b"x" * 40)
        assert b'"size": 600' in read(line)[2]


def test_discard_of_a_refused_body_has_a_timeout(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER", 0.3)
    settings.SIM_MAX_BODY, settings.SIM_HEAD_TIMEOUT = 1000, 0.5
    with serving(echo, settings) as url, connect(url, 2) as line:
        line.sendall(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 100000\r\n\r\n")
        assert read(line)[0] == 200
        assert is_closed(line)


def test_client_that_reads_no_response_is_disconnected(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALLED", 0.3)
    settings.SIM_HEAD_TIMEOUT = 0.5
    ended: list[bool] = []

    def wsgi(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            yield from [b"x" * 1_000_000] * 100
        finally:
            ended.append(True)

    with serving(wsgi, settings) as url, connect(url) as line:
        line.sendall(REQUEST)
        # The thread no longer waits for this client.
        until(lambda: ended, "the thread ends", timeout=5)


# -- many


def test_byte_by_byte_heads_do_not_delay_other_clients(settings: Any) -> None:
    """200 connections; `make bench ARGS="web"` has 4,000."""
    with serving(echo, settings, threads=2) as url, ExitStack() as stack:
        slow = [stack.enter_context(connect(url)) for _ in range(200)]
        for line in slow:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        durations = []
        for n in range(40):
            for line in slow[n % 4 :: 4]:
                line.sendall(b"x")
            started = time.monotonic()
            assert responds(url)
            durations.append(time.monotonic() - started)
        assert sorted(durations)[20] < 0.5
        # The slow requests are complete.
        for line in slow[:5]:
            line.sendall(b"\r\n" + HEAD + b"\r\n")
            assert b'"HTTP_X_SLOW": "xxxxxxxxxx"' in read(line)[2]


def test_byte_by_byte_client_is_read_at_intervals(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connect_sim.server.protocol import Connection

    reads = []
    original = Connection.data_received
    monkeypatch.setattr(
        Connection, "data_received", lambda self, data: (reads.append(data), original(self, data))
    )
    with serving(echo, settings) as url, connect(url) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"GET / HTTP/1.1\r\n")
        for n in range(300):
            line.sendall(b"X-%d: y\r\n" % n)
            until(lambda n=n: len(reads) > min(n, 7), "a read", timeout=5)
        line.sendall(HEAD + b"\r\n")
        assert read(line)[0] == 200
    assert len(reads) < 20 and len(b"".join(reads)) > 2000


@pytest.mark.parametrize("state", ["silent", "head", "body", "idle"])
def test_oldest_incomplete_connection_is_evicted(settings: Any, state: str) -> None:
    settings.SIM_CONNECTIONS = 20
    first = {
        "silent": b"",
        "head": b"GET / HTTP/1.1\r\n",
        "body": b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 9\r\n\r\nx",
        "idle": REQUEST,
    }[state]
    with serving(echo, settings) as url, ExitStack() as stack:
        lines = []
        for _ in range(30):
            line = stack.enter_context(connect(url, 5))
            line.sendall(first)
            if state == "idle":
                assert read(line)[0] == 200
            lines.append(line)
        assert responds(url)
        assert all(is_closed(line) for line in lines[:10])
        # The newest connections are still open.
        rest = {"silent": REQUEST, "head": HEAD + b"\r\n", "body": b"x" * 8, "idle": REQUEST}[state]
        for line in lines[12:]:
            line.sendall(rest)
            assert read(line)[0] == 200


def test_running_request_is_not_evicted(settings: Any) -> None:
    settings.SIM_CONNECTIONS = 16
    app = App()
    with serving(app, settings, threads=1) as url, ExitStack() as stack:
        busy = stack.enter_context(connect(url))
        busy.sendall(b"POST /validate HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert app.arrived.get(timeout=10) == "/validate"
        for _ in range(40):
            stack.enter_context(connect(url))
        assert responds(url)
        app.release.set()
        assert read(busy)[0] == 200


def test_connections_leave_room_for_other_files(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(soft: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, soft))
        return Limits.from_settings(32).connections

    settings.SIM_CALLS, settings.SIM_VALIDATIONS, settings.SIM_CONNECTIONS = 1000, 100, 8000
    assert limit(65536) == limit(resource.RLIM_INFINITY) == 8000
    assert limit(4096) == 4096 - 1100 - 100 - 96
    assert limit(1024) == 1024 - 512 - 100 - 96
    assert limit(256) == 16
