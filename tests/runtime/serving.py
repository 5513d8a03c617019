"""Run the web server in this process with a small WSGI application, and connect to it."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any

from connect_sim import web
from connect_sim.server.django_app import is_validation
from requests_queue.operations import QUESTION
from tests.processes import free_port


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
def serving(wsgi: Any, settings: Any, threads: int = 1, validations: int = 4) -> Iterator[str]:
    """Run the server for the block; yield its URL."""
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    settings.SIM_VALIDATIONS = validations
    server = web.Web(wsgi, threads)
    server.start()
    try:
        yield f"http://{settings.SIM_BIND}"
    finally:
        if isinstance(wsgi, App):
            wsgi.release.set()
        server.stop()
        assert not server.is_running()


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
