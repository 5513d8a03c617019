"""A webhook handler on loopback whose responses a test decides, one request at a time."""

from __future__ import annotations

import json
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ReceivedRequest:
    """A request that the handler received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def token(self) -> str:
        return self.headers["Authentication"].removeprefix("Bearer ")


# Status, or status and body, perhaps with headers, or None: hold the call until `release`.
Response = int | tuple[int, bytes] | tuple[int, bytes, dict[str, str]] | None


@dataclass
class Handler:
    """The server: requests arrive in the queue `calls`; `respond` decides each response."""

    url: str = ""
    respond: Callable[[ReceivedRequest], Response] = lambda request: 200
    calls: queue.Queue[ReceivedRequest] = field(default_factory=queue.Queue)
    release: threading.Event = field(default_factory=threading.Event)
    received: list[ReceivedRequest] = field(default_factory=list)

    def next(self, timeout: float = 60) -> ReceivedRequest:
        """Wait for the next request."""
        return self.calls.get(timeout=timeout)


@contextmanager
def handler(
    response: Callable[[ReceivedRequest], Response] | Response = 200,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Handler]:
    """Run a handler; `response` is a status for all requests, or a function of the request."""
    state = Handler()
    state.respond = response if callable(response) else lambda request: response

    class Serve(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = ReceivedRequest(self.command, self.path, dict(self.headers), body)
            state.received.append(request)
            state.calls.put(request)
            result = state.respond(request)
            if result is None:
                state.release.wait(60)
                result = 200
            status, text, *more = result if isinstance(result, tuple) else (result, b'{"ok": true}')
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                for name, value in (more[0] if more else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                pass  # The caller has disconnected, as some tests require.

        do_GET = do_POST = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Serve)
    server.daemon_threads = True
    # Tests wait for the engine rather than for connections that it keeps open.
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/"
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
