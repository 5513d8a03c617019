"""OpenTelemetry's providers of this process, which send to a collector by OTLP over HTTP.

They are not global, so that no library of the process makes spans of its own. The SDK's variables
(OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and so on) apply.
"""

from __future__ import annotations

import os
import socket
import threading

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from connect_sim import __version__, request_operations
from connect_sim.tracing.attempt_spans import AttemptTracer
from connect_sim.tracing.server_spans import ServerTracer
from webhooks import tracing

NAME = "connect-sim"
STOP = 3.0  # seconds that sending may take at a stop

_providers: list[TracerProvider | MeterProvider] = []


def start(endpoint: str) -> None:
    """Record spans and metrics of this process, and send them to a collector."""
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or NAME,
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
    # Not at exit: the SDK would wait half a minute for a collector that is down.
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
    metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    _providers[:] = traces, metrics
    tracer = traces.get_tracer(NAME, __version__)
    tracing.tracer = AttemptTracer(tracer, metrics.get_meter(NAME, __version__))
    request_operations.tracer = ServerTracer(tracer)


def stop() -> None:
    """Record nothing more, and send the rest, for STOP seconds at most."""
    tracing.tracer = request_operations.tracer = None
    providers, _providers[:] = [*_providers], []
    threads = [threading.Thread(target=each.shutdown, daemon=True) for each in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STOP)
