"""ASGI middleware: the operation of each request, its id, its log line, and its span."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from connect_sim.server import Application, Message, Receive, Scope, Send, paths
from requests_queue import operations
from requests_queue.operations import Operation
from requests_queue.redaction import Redaction

logger = logging.getLogger("connect_sim.requests")

# CloudBlue's client for PHP sends the second.
_ID_HEADERS = (b"x-request-id", b"request-id")
_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_PATH = 500


class Span(Protocol):
    """The span of a request."""

    def end(self, status: int) -> None:
        """End it; `status` is 0 if the connection has ended before the response."""


class Tracer(Protocol):
    """What makes spans of requests."""

    def begin(self, scope: Scope, operation: Operation, *, is_api: bool) -> Span:
        """Return the span of a request."""


# Set by `connect_sim.tracing`; nothing is traced without it.
tracer: Tracer | None = None


def identify_requests(application: Application) -> Application:
    """Return the application with an operation per request; responses of an API have its id.

    The id is that of the caller's header, if it has the form of one. Requests of an API are traced,
    and those of pages that change something.
    """

    async def identifying(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _given_id(scope) or uuid.uuid4().hex
        is_api = paths.is_api(scope["path"])
        with operations.working_on(Operation({"request_id": request_id})) as operation:
            if is_api or (tracer is not None and scope["method"] not in _SAFE):
                served = _ServedRequest(scope, operation, is_api)
                await served.run(application, receive, send)
            else:
                await application(scope, receive, send)

    return identifying


def _given_id(scope: Scope) -> str:
    headers = (value for name, value in scope["headers"] if name in _ID_HEADERS)
    value = next(headers, b"")
    return value.decode() if _ID.fullmatch(value) else ""


class _ServedRequest:
    """A request whose status is noted, for its log line and its span."""

    def __init__(self, scope: Scope, operation: Operation, is_api: bool) -> None:
        self._scope, self._operation, self._is_api = scope, operation, is_api
        self._status = 0

    async def run(self, application: Application, receive: Receive, send: Send) -> None:
        began, span = time.monotonic(), None
        # Another thread may remove it.
        if (current := tracer) is not None:
            span = current.begin(self._scope, self._operation, is_api=self._is_api)
        self._send = send
        try:
            await application(self._scope, receive, self._note_status)
        finally:
            if span is not None:
                span.end(self._status)
            if self._is_api and logger.isEnabledFor(logging.INFO):
                self._log(time.monotonic() - began)

    async def _note_status(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._is_api:
                request_id = str(self._operation.ids["request_id"]).encode()
                headers = [*message.get("headers", ()), (b"x-request-id", request_id)]
                message = {**message, "headers": headers}
        await self._send(message)

    def _log(self, seconds: float) -> None:
        """Log the request without its query, which may contain a secret."""
        fields: Mapping[str, Any] = {
            "method": self._scope["method"],
            "path": Redaction().text(self._scope["raw_path"].decode("latin-1"))[:_LONGEST_PATH],
            # None: the connection has ended before.
            "status": self._status or None,
            "duration_ms": round(seconds * 1000),
        }
        logger.info(
            "%(method)s %(path)s: %(status)s after %(duration_ms)s ms.", fields, extra=fields
        )
