"""Run the web server in this process with a small WSGI application, and connect to it."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any
from unittest.mock import AsyncMock, patch

from django.core.handlers.wsgi import WSGIHandler

from connect_sim import web
from connect_sim.server.django_app import is_validation
from extensions import gateway
from requests_queue.operations import QUESTION
from tests.processes import free_port

HEAD = b"Host: localhost\r\n"


@dataclass
class App:
    """A WSGI application in which validations wait for `release`; every client may wait."""

    arrived: queue.Queue[str] = field(default_factory=queue.Queue)
    release: threading.Event = field(default_factory=threading.Event)
    inside: Callable[[str], Any] = lambda path: None

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if QUESTION in environ:
            start("204 No Content", [])
            return []
        self.inside(path)
        self.arrived.put(path)
        if is_validation(environ["REQUEST_METHOD"], path):
            assert self.release.wait(30)
        content = f"{path} by {threading.current_thread().name}".encode()
        start("200 OK", [("Content-Length", str(len(content)))])
        return [content]


@contextmanager
def stoppable(
    wsgi: Any, settings: Any, threads: int = 1, validations: int = 4
) -> Iterator[tuple[str, web.Web]]:
    """Run the server for the block, which may stop it sooner; yield its URL and the server."""
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    settings.SIM_VALIDATIONS = validations
    server = web.Web(wsgi, threads)
    with nullcontext() if isinstance(wsgi, WSGIHandler) else _without_database():
        server.start()
        try:
            yield f"http://{settings.SIM_BIND}", server
        finally:
            if isinstance(wsgi, App):
                wsgi.release.set()
            server.stop()
            assert not server.is_running()


def _without_database() -> Any:
    """Let the gateway of extensions look for nothing in a database that the test doesn't have."""
    return patch.object(gateway.Gateway, "_sweep_once", AsyncMock())


@contextmanager
def serving(wsgi: Any, settings: Any, threads: int = 1, validations: int = 4) -> Iterator[str]:
    """Run the server for the block; yield its URL."""
    with stoppable(wsgi, settings, threads, validations) as (url, _):
        yield url


def head(target: str, more: bytes = b"", method: str = "GET") -> bytes:
    """Return the head of a request; `more` are further lines of it."""
    return f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + HEAD + more + b"\r\n"


def connect(url: str, timeout: float = 10) -> socket.socket:
    """Open a raw connection to a server."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def read(line: socket.socket, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Read one response: status, headers by lower-case name, body."""
    response = HTTPResponse(line, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return response.status, headers, response.read()


def exchange(
    line: socket.socket, sent: bytes, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and read one response."""
    line.sendall(sent)
    return read(line, method)


def ask(url: str, sent: bytes, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of their own, and read one response."""
    with connect(url) as line:
        return exchange(line, sent, method)


def ask_last(url: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes like `ask`; the server must close the connection after its response."""
    with connect(url) as line:
        response = exchange(line, sent)
        assert response[1]["connection"] == "close"
        assert is_closed(line)
    return response


def read_until(
    line: socket.socket, is_complete: Callable[[bytes], bool] = lambda received: False
) -> bytes:
    """Read until this holds of what was received, or until the server closes the connection."""
    received = b""
    while not is_complete(received) and (chunk := line.recv(65536)):
        received += chunk
    return received


def is_cancelled(future: Future[Any]) -> bool:
    """Whether a future gets cancelled, within seconds."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    assert done.wait(10)
    return future.cancelled()


def reset(line: socket.socket) -> None:
    """Close a connection by a reset; after `close` the server may think that the client waits."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def is_closed(line: socket.socket) -> bool:
    """Read the rest of a connection; return whether the server closes it."""
    try:
        while line.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True
