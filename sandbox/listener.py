"""A webhook handler that answers by script and shows each call: `manage.py listen`."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

MAX_BODY = 8 * 1024 * 1024
PORT = 9000


@dataclass(frozen=True, slots=True)
class Script:
    """How calls are answered: status, seconds before the answer, or none at all."""

    status: int = 200
    delay: float = 0
    hang: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One call: the claims of its token, and the verdict on it (empty when it is good)."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    claims: dict[str, Any]
    verdict: str

    @property
    def is_refused(self) -> bool:
        """Whether the token is missing or wrong; one that can't be verified is taken."""
        return self.verdict.startswith(("refused", "no token", "not a token"))


# Returns the secret that a webhook signs with, or None where it is not known.
Secrets = Callable[[str], str | None]


def judge(token: str, secrets: Secrets) -> tuple[dict[str, Any], str]:
    """Return the claims of a token and what is wrong with it, if anything."""
    if not token:
        return {}, "no token"
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        return {}, f"not a token ({error})"
    secret = secrets(str(claims.get("webhook_id")))
    if secret is None:
        return claims, "not verified (give the webhook's secret with --secret)"
    try:
        with warnings.catch_warnings():
            # Connect takes short secrets; the webhook's form hints at them.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            jwt.decode(token, secret, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        return claims, f"refused ({error})"
    return claims, ""


# Is told of a call, may act before the answer, and returns its body; None: an acknowledgement.
OnCall = Callable[[Received], dict[str, Any] | None]


class Listener:
    """The server; `on_call` is told of each call."""

    def __init__(
        self, address: tuple[str, int], script: Script, secrets: Secrets, on_call: OnCall
    ) -> None:
        self.stopped = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: `on_call` shows the call."""

            def _answer(self) -> None:
                received = _receive(self, secrets)
                if script.hang:
                    listener.stopped.wait()
                    return
                listener.stopped.wait(script.delay)
                _reply(self, *_act(script, received, on_call))

            do_GET = do_POST = do_PUT = _answer

        self._server = ThreadingHTTPServer(address, Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where the handler listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def run(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End the serving, and the calls that hang."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


def _act(script: Script, received: Received, on_call: OnCall) -> tuple[int, dict[str, Any]]:
    """Return the answer's status and body; what goes wrong in acting is a 500 that says it."""
    try:
        body = on_call(received)
    except Exception as error:
        return 500, {"error": str(error)}
    if received.is_refused:
        return 401, {"error": f"token {received.verdict}"}
    return script.status, body or {"received": received.claims.get("webhook_id")}


def _receive(handler: BaseHTTPRequestHandler, secrets: Secrets) -> Received:
    length = min(int(handler.headers.get("Content-Length") or 0), MAX_BODY)
    body = handler.rfile.read(length)
    value = handler.headers.get("Authentication") or handler.headers.get("Authorization") or ""
    claims, verdict = judge(value.removeprefix("Bearer ").strip(), secrets)
    return Received(handler.command, handler.path, dict(handler.headers), body, claims, verdict)


def _reply(handler: BaseHTTPRequestHandler, status: int, said: Any) -> None:
    body = b"" if status == 204 or status < 200 else json.dumps(said).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
