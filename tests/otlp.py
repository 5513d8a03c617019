"""A collector of OpenTelemetry on loopback: it receives OTLP by HTTP, and decodes it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.handlers import ReceivedRequest, handler

# Kinds of spans and codes of their status, as numbers of the protocol.
INTERNAL, SERVER, CLIENT = 1, 2, 3
ERROR = 2


@dataclass(frozen=True)
class Span:
    """A span that was received; ids are hexadecimal."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: list[tuple[str, str]]
    start: int
    end: int
    status: int


@dataclass
class Collector:
    """What has been received."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    # Data points of histograms, by the name of the metric.
    histograms: dict[str, list[Any]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    def find(self, **expected: Any) -> list[Span]:
        """Return the spans with these values: fields, or attributes with `_` in place of `.`."""
        return [span for span in list(self.spans) if _has(span, expected)]

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        else:
            assert path == "/v1/metrics", path
            self._take_metrics(ExportMetricsServiceRequest.FromString(body))

    def _take_spans(self, request: Any) -> None:
        for part in request.resource_spans:
            resource = _attributes(part.resource.attributes)
            for span in (span for scope in part.scope_spans for span in scope.spans):
                self.spans.append(
                    Span(
                        span.name,
                        span.kind,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        _attributes(span.attributes),
                        resource,
                        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        span.status.code,
                    )
                )

    def _take_metrics(self, request: Any) -> None:
        for part in request.resource_metrics:
            for metric in (metric for scope in part.scope_metrics for metric in scope.metrics):
                self.units[metric.name] = metric.unit
                points = self.histograms.setdefault(metric.name, [])
                points += metric.histogram.data_points


def _has(span: Span, expected: dict[str, Any]) -> bool:
    names = {name.replace(".", "_"): value for name, value in span.attributes.items()}
    return all(
        value == (getattr(span, name) if hasattr(span, name) else names.get(name))
        for name, value in expected.items()
    )


def attributes(point: Any) -> dict[str, Any]:
    """Return the attributes of a data point."""
    return _attributes(point.attributes)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector."""
    state = Collector()

    def take(request: ReceivedRequest) -> int:
        is_packed = request.headers.get("Content-Encoding") == "gzip"
        state.take(request.path, gzip.decompress(request.body) if is_packed else request.body)
        return 200

    with handler(take) as served:
        state.url = served.url.rstrip("/")
        yield state
