"""W3C trace contexts: `traceparent` headers to and from OpenTelemetry's objects."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def parse(traceparent: str) -> Context:
    """Return the context of a header, an empty one for an invalid header.

    `tracestate` is not read: vendors' values would have to be stored with events.
    """
    return _propagator.extract({"traceparent": traceparent}, Context())


def parse_span(traceparent: str) -> SpanContext | None:
    """Return the span of a header, None for an invalid header."""
    span = get_current_span(parse(traceparent)).get_span_context()
    return span if span.is_valid else None


def format_span(span: Span) -> str:
    """Return the header that names a span as the parent."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
