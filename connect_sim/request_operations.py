"""ASGI middleware: the operation of each request, its id, and a log line when it ends."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping, MutableMapping
from typing import Any

from connect_sim.asgi import Application, Receive, Scope, Send
from requests_queue import operations
from requests_queue.operations import Operation

logger = logging.getLogger("connect_sim.requests")

# CloudBlue's client for PHP sends the second.
_ID_HEADERS = (b"x-request-id", b"request-id")
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_API = ("/public/", "/sandbox/")
_LONGEST_PATH = 500


def identify_requests(application: Application) -> Application:
    """Return the application with an operation per request; responses of an API have its id.

    The id is that of the caller's header, if it has the form of one.
    """

    async def identifying(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid.uuid4().hex
        with operations.working_on(Operation({"request_id": request_id})):
            if scope["path"].startswith(_API):
                await _serve_api(application, scope, receive, send, request_id)
            else:
                await application(scope, receive, send)

    return identifying


def _given_id(scope: Scope) -> str:
    headers = (value for name, value in scope["headers"] if name in _ID_HEADERS)
    value = next(headers, b"")
    return value.decode() if _ID.fullmatch(value) else ""


async def _serve_api(
    application: Application, scope: Scope, receive: Receive, send: Send, request_id: str
) -> None:
    """Serve a request, and log it without its query, which may contain a secret."""
    began, status = time.monotonic(), 0

    async def send_with_id(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            message = {**message, "headers": headers}
        await send(message)

    try:
        await application(scope, receive, send_with_id)
    finally:
        if logger.isEnabledFor(logging.INFO):
            _log(scope, status, time.monotonic() - began)


def _log(scope: Scope, status: int, seconds: float) -> None:
    fields: Mapping[str, Any] = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1")[:_LONGEST_PATH],
        # None: the client has left.
        "status": status or None,
        "duration_ms": round(seconds * 1000),
    }
    logger.info("%(method)s %(path)s: %(status)s after %(duration_ms)s ms.", fields, extra=fields)
