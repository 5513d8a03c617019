"""Serve a WSGI application on a free port of this machine, in threads."""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the sandbox logs each request."""


class Serving:
    """The servers of a session."""

    def __init__(self) -> None:
        self._running: list[tuple[_Server, threading.Thread]] = []

    def start(self, app: Any, path: str = "/") -> str:
        """Serve an application, and return its URL with a path."""
        server = make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet)
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        self._running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/{path.lstrip('/')}"

    def stop(self) -> None:
        """Stop all servers."""
        for server, thread in self._running:
            server.shutdown()
            thread.join()
            server.server_close()
        self._running = []
