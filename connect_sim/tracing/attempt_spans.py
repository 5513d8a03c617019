"""Spans of attempts and of their HTTP requests, by the semantic conventions for HTTP.

Nothing that a handler has sent is in them but the status: its headers and texts may repeat the
token.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, set_span_in_context

from connect_sim.tracing import trace_context
from requests_queue import operations
from webhooks import states
from webhooks.delivery.claim import Claim
from webhooks.http.client import Request
from webhooks.tracing import read_mark

# Of the convention, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_REDACTED = "REDACTED"
_PORTS = {"http": 80, "https": 443}


class AttemptTracer:
    """Makes spans of attempts, and measures their requests."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )

    def begin_attempt(self, claim: Claim) -> AttemptSpan:
        """Return the span of an attempt.

        It is part of the trace of the change that created the delivery, and links to those of the
        changes that joined it. That of the first attempt begins with the change.
        """
        parent, start, links = Context(), None, []
        marks = [read_mark(mark) for mark in claim.marks]
        if marks:
            at, traceparent = marks[0]
            parent = trace_context.parse(traceparent)
            start = at if claim.number == 1 else None
            joined = [trace_context.parse_span(each) for _, each in marks[1:]]
            links = [Link(span) for span in joined if span is not None]
        attributes: dict[str, Any] = {
            "connect_sim.webhook": claim.webhook.id,
            "connect_sim.account": claim.webhook.account_id,
            "connect_sim.delivery": claim.delivery_id,
            "connect_sim.attempt": claim.number,
        }
        span = self._tracer.start_span(
            "webhook attempt", parent, SpanKind.INTERNAL, attributes, links, start
        )
        if operation := operations.current():
            operation.traceparent = trace_context.format_span(span)
        return AttemptSpan(self._tracer, self._duration, span, claim.number)


class AttemptSpan:
    """The span of one attempt, and that of its request."""

    def __init__(self, tracer: Tracer, duration: Histogram, span: Span, number: int) -> None:
        self._tracer, self._duration = tracer, duration
        self._span, self._number = span, number
        self._request: Span | None = None
        self._attributes: dict[str, Any] = {}
        self._began = 0.0

    def begin_request(self, request: Request) -> str:
        """Begin the span of the HTTP request, and return its W3C trace context."""
        parts = urlsplit(request.url)
        self._attributes = {
            "http.request.method": request.method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or _PORTS[parts.scheme.lower()],
        }
        attributes = {**self._attributes, "url.full": redact_url(request.url)}
        if self._number > 1:
            attributes["http.request.resend_count"] = self._number - 1
        parent = set_span_in_context(self._span, Context())
        self._began = time.monotonic()
        self._request = self._tracer.start_span(request.method, parent, SpanKind.CLIENT, attributes)
        return trace_context.format_span(self._request)

    def end(self, outcome: str, status: int | None, error_type: str) -> None:
        """End both spans, and record the duration of the request."""
        result: dict[str, Any] = {} if status is None else {"http.response.status_code": status}
        if error_type:
            result["error.type"] = error_type
        if self._request is not None:
            self._duration.record(time.monotonic() - self._began, {**self._attributes, **result})
            _end(self._request, result, is_error=bool(error_type))
        self._span.set_attribute("connect_sim.outcome", outcome)
        _end(self._span, result, is_error=outcome != states.SUCCESS)


def _end(span: Span, attributes: dict[str, Any], *, is_error: bool) -> None:
    span.set_attributes(attributes)
    if is_error:
        # Without a description: the text of an error may quote what a handler has sent.
        span.set_status(StatusCode.ERROR)
    span.end()


def redact_url(url: str) -> str:
    """Return a URL without credentials and without the values of its query."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name.partition('=')[0]}={_REDACTED}" if "=" in name else _REDACTED
        for name in parts.query.split("&")
        if name
    )
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
