"""Export this process's metrics at SIM_METRICS_PORT. Without the setting nothing is measured.

Anyone who reaches the address may read them, so it is a loopback address by default.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from django.conf import settings

from connect_sim.installation import StartError

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from connect_sim.metrics.process_metrics import ProcessMetrics


class PortTaken(StartError):
    """The address cannot be bound; the text says which and why."""


# Those of this process, once they are exported.
_metrics: ProcessMetrics | None = None
_server: WSGIServer | None = None
_guard = threading.Lock()


def start() -> None:
    """Measure and export, once in a process, if SIM_METRICS_PORT is set; raises PortTaken."""
    global _metrics, _server
    if not settings.SIM_METRICS_PORT:
        return
    # Only now: a process without metrics doesn't load the client.
    from prometheus_client import start_http_server

    from connect_sim.metrics.process_metrics import ProcessMetrics

    with _guard:
        if _metrics is not None:
            return
        metrics = ProcessMetrics()
        host, port = settings.SIM_METRICS_HOST, settings.SIM_METRICS_PORT
        try:
            _server, _ = start_http_server(port, host, metrics.registry)
        except OSError as error:
            reason = error.strerror or error
            raise PortTaken(
                f"SIM_METRICS_PORT: cannot bind port {port} of {host} ({reason}). Each process on "
                "a host needs a port of its own: set another one for this process."
            ) from None
        metrics.connect()
        _metrics = metrics


def stop() -> None:
    """Measure and export no more."""
    global _metrics, _server
    with _guard:
        if _metrics is not None:
            _metrics.disconnect()
        if _server is not None:
            _server.shutdown()
            _server.server_close()
        _metrics = _server = None


def count_request(method: str, route: str, status: str, seconds: float) -> None:
    """Count an API request, if this process exports metrics."""
    if _metrics is not None:
        _metrics.count_request(method, route, status, seconds)
