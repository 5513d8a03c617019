"""Traces and metrics by OpenTelemetry, if SIM_OTLP_ENDPOINT is set.

Nothing of OpenTelemetry is imported otherwise: `start` imports the other modules of this package,
and the hooks in `connect_sim.request_operations` and `webhooks.tracing` stay empty.
"""

from __future__ import annotations

from importlib.util import find_spec

from django.conf import settings

PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def is_installed() -> bool:
    """Return whether the packages of the extra `otel` are installed."""
    try:
        return all(find_spec(name) is not None for name in PACKAGES)
    except ModuleNotFoundError:
        return False


def start() -> None:
    """Trace this process, if it is configured."""
    if settings.SIM_OTLP_ENDPOINT:
        from connect_sim.tracing import providers

        providers.start(settings.SIM_OTLP_ENDPOINT)


def stop() -> None:
    """Send what has been recorded, for a few seconds."""
    if settings.SIM_OTLP_ENDPOINT:
        from connect_sim.tracing import providers

        providers.stop()
