"""Traces and metrics by OpenTelemetry, if SIM_OTLP_ENDPOINT is set.

Nothing of OpenTelemetry is imported otherwise: `start` imports the other modules of this package,
and the hooks in `connect_sim.request_operations` and `webhooks.delivery.tracing` stay empty.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

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


class _Hidden(MetaPathFinder):
    """A finder to which OpenTelemetry is not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for a module of OpenTelemetry."""
        if fullname.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def import_redis_without() -> None:
    """Import redis-py without OpenTelemetry, which it would import wherever it is installed."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        import redis  # noqa: F401
    finally:
        sys.meta_path.remove(hidden)
