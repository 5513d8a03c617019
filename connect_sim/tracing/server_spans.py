"""Spans of the requests that the web server serves, by the semantic conventions for HTTP."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from connect_sim.server import Scope
from connect_sim.tracing import trace_context
from requests_queue.operations import Operation
from requests_queue.redaction import Redaction

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LONGEST_PATH = 500


class ServerTracer:
    """Makes spans of requests."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def begin(self, scope: Scope, operation: Operation, *, is_api: bool) -> ServerSpan:
        """Return the span of a request, which continues the trace of its header.

        An invalid header, or more than one, is ignored. Paths of pages are left out: a link to sign
        in has a token in its path.
        """
        headers = [value for name, value in scope["headers"] if name == b"traceparent"]
        parent = headers[0].decode("latin-1") if len(headers) == 1 else ""
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "connect_sim.request_id": operation.ids["request_id"],
        }
        if is_api:
            path = Redaction().text(scope["raw_path"].decode("latin-1"))
            attributes["url.path"] = path[:_LONGEST_PATH]
        name = "HTTP" if method == "_OTHER" else method
        context = trace_context.parse(parent)
        span = self._tracer.start_span(name, context, SpanKind.SERVER, attributes)
        operation.traceparent = trace_context.format_span(span)
        return ServerSpan(span, name, operation)


class ServerSpan:
    """The span of one request."""

    def __init__(self, span: Span, name: str, operation: Operation) -> None:
        self._span, self._name, self._operation = span, name, operation

    def end(self, status: int) -> None:
        """End the span; `status` is 0 if the connection has ended before the response."""
        span, operation = self._span, self._operation
        if operation.route:
            span.update_name(f"{self._name} {operation.route}")
            span.set_attribute("http.route", operation.route)
        if account := operation.ids.get("account"):
            span.set_attribute("connect_sim.account", account)
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()
