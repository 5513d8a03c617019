"""The web server in this process, with a small WSGI application, and raw connections to it."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any

from connect_sim import web
from connect_sim.server.django_app import waits
from tests.processes import free_port


@dataclass
class App:
    """A WSGI application: what may wait for a validator waits until it is released."""

    arrived: queue.Queue[str] = field(default_factory=queue.Queue)
    release: threading.Event = field(default_factory=threading.Event)
    inside: Callable[[str], Any] = lambda path: None

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.inside(path)
        self.arrived.put(path)
        if waits(path):
            assert self.release.wait(30)
        said = f"{path} by {threading.current_thread().name}".encode()
        start("200 OK", [("Content-Length", str(len(said)))])
        return [said]


@contextmanager
def serving(wsgi: Any, settings: Any, threads: int = 1, lane: int = 4) -> Iterator[str]:
    """Run the server until the block ends; return its address."""
    settings.SIM_BIND = f"127.0.0.1:{free_port()}"
    settings.SIM_VALIDATIONS = lane
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
    """Return a raw connection to a server."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def read(line: socket.socket, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Read one response: status, headers by lower-case name, body."""
    answer = HTTPResponse(line, method=method)
    answer.begin()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, headers, answer.read()


def is_closed(line: socket.socket) -> bool:
    """Wait until the server closes a connection, reading what is left of it."""
    try:
        while line.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True
