"""The web server of the reference handler and of its variants."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.checks.handlers.reference import Handler

MAX_BODY = 10 * 1024 * 1024


class Call(NamedTuple):
    """A request to the handler."""

    method: str
    headers: Any
    body: bytes


class Response(NamedTuple):
    """A response of the handler, with a JSON body."""

    status: int
    content: Any = None


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 128
    handler: Handler


class Connection(BaseHTTPRequestHandler):
    """A connection, which is kept open."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        try:
            body = self.read_body()
        except ValueError:
            self.close_connection = True
            self.send(Response(400))
        else:
            self.send(self.server.handler.respond(Call(self.command, self.headers, body)))

    do_POST = do_GET

    def read_body(self) -> bytes:
        """Return the body, which may be chunked; raises ValueError."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.read_exactly(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            body += self.read_exactly(size, MAX_BODY - len(body))
            self.rfile.readline(100)
        while self.rfile.readline(10_000).strip():
            pass
        return body

    def read_exactly(self, size: int, at_most: int = MAX_BODY) -> bytes:
        if not 0 <= size <= at_most:
            raise ValueError("The body is too large.")
        return self.rfile.read(size)

    def send(self, response: Response) -> None:
        body = json.dumps(response.content or {}).encode()
        try:
            self.send_response(response.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # The client has disconnected.
