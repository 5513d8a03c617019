"""The HTTP server of `connect-sim listen`: a handler with scripted or passed-on responses."""

from __future__ import annotations

import itertools
import json
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

MAX_BODY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Script:
    """How to respond: with a status, after a delay in seconds, or never."""

    status: int = 200
    delay: float = 0
    hang: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """Result of checking a token: its claims, a text, and whether the request is trusted.

    A token that can't be verified, because its secret is unknown, is neither verified nor refused.
    """

    claims: dict[str, Any]
    verdict: str
    is_verified: bool = False
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """A request to the handler; the first one has number 1."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    token: Token


# Returns the secret of a webhook, or None if it is unknown.
Secrets = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: JSON or bytes, and a text that describes it, by default the JSON.

    Without a status it has that of the script.
    """

    body: dict[str, Any] | bytes
    text: str = ""
    status: int | None = None
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/json"),)


# Handles a request before the response; returns None for an acknowledgement.
OnRequest = Callable[[Received], Reply | None]
# Gets status and description of each response before it is sent; no status if the request hangs.
OnResponse = Callable[[Received, int | None, str], None]


def check_token(value: str, secrets: Secrets) -> Token:
    if not value:
        return Token({}, "missing", is_refused=True)
    try:
        claims: dict[str, Any] = jwt.decode(value, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        return Token({}, f"malformed ({error})", is_refused=True)
    secret = secrets(str(claims.get("webhook_id")))
    if secret is None:
        return Token(claims, "not verified (pass the webhook's secret with --secret)")
    try:
        with warnings.catch_warnings():
            # Connect accepts short secrets.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            jwt.decode(value, secret, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        return Token(claims, f"refused ({error})", is_refused=True)
    return Token(claims, "verified", is_verified=True)


class Listener:
    """The HTTP server of the handler; calls `on_request` and `on_response` for each request."""

    def __init__(
        self,
        address: tuple[str, int],
        script: Script,
        secrets: Secrets,
        on_request: OnRequest,
        on_response: OnResponse,
    ) -> None:
        self.stopped = threading.Event()
        listener, numbers = self, itertools.count(1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: `on_request` prints the request."""

            def _respond(self) -> None:
                received = _receive(self, next(numbers), secrets)
                if script.hang:
                    on_response(received, None, "")
                    listener.stopped.wait()
                    return
                listener.stopped.wait(script.delay)
                status, reply = _response(script, received, on_request)
                on_response(received, status, reply.text or json.dumps(reply.body))
                _send(self, status, reply)

            do_GET = do_POST = do_PUT = _respond

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def run(self) -> None:
        """Serve until interrupted."""
        self._server.serve_forever(poll_interval=0.1)


def _response(script: Script, received: Received, on_request: OnRequest) -> tuple[int, Reply]:
    """Return status and body; an exception of `on_request` becomes a 500."""
    try:
        reply = on_request(received)
    except Exception as error:
        return 500, Reply({"error": str(error)})
    if received.token.is_refused:
        return 401, Reply({"error": f"token {received.token.verdict}"})
    reply = reply or Reply({"received": received.token.claims.get("webhook_id")})
    return reply.status or script.status, reply


def _receive(handler: BaseHTTPRequestHandler, number: int, secrets: Secrets) -> Received:
    length = min(int(handler.headers.get("Content-Length") or 0), MAX_BODY)
    body = handler.rfile.read(length)
    value = handler.headers.get("Authentication") or handler.headers.get("Authorization") or ""
    token = check_token(value.removeprefix("Bearer ").strip(), secrets)
    headers = dict(handler.headers.items())
    return Received(number, handler.command, handler.path, headers, body, token)


def _send(handler: BaseHTTPRequestHandler, status: int, reply: Reply) -> None:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    if status == 204 or status < 200:
        body = b""
    # A response that is passed on has its own Server and Date.
    begin = handler.send_response if reply.status is None else handler.send_response_only
    begin(status)
    for name, value in reply.headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
