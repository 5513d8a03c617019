"""The embedded runtime: web server, Celery worker, scheduler and engine in one process.

The distributed set-up runs the same parts as separate processes. The stop order is: no new HTTP
requests, no scheduler, no new claims, a few seconds for requests in flight, then the worker.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from celery import Celery
from celery.beat import EmbeddedService
from celery.worker import WorkController, state
from django.conf import settings

from connect_sim import tracing, web
from connect_sim.celery import app
from connect_sim.metrics import exporter
from webhooks.delivery import engine

logger = logging.getLogger(__name__)
WEB_THREADS = 8
RESTART = 1.0  # seconds before an ended task worker is restarted
TASKS = 5.0  # seconds for running tasks at a stop


class Runtime:
    """All parts of a sandbox; raises web.PortTaken and exporter.PortTaken."""

    def __init__(self, wsgi: Any) -> None:
        exporter.start()
        self._web = web.Web(wsgi, WEB_THREADS)
        self._worker = _Worker(app)
        self._beat: Any = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")

    def start(self) -> None:
        """Start the engine first, which needs no other part, and the web server last."""
        tracing.start()
        engine.start()
        self._worker.start()
        self._beat.start()
        self._web.start()

    def stop(self) -> None:
        """Stop the parts in order, each with a time limit; the process must end afterwards."""
        self._worker.request_stop()
        self._web.stop()
        # Its thread sleeps for up to a second, and sends nothing afterwards.
        self._beat.service.stop()
        engine.stop()
        self._worker.stop()
        tracing.stop()


class _Worker:
    """Celery's worker in a thread; restarted if it ends without being stopped."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._controller().start()
            except BaseException:
                logger.exception("The task worker failed.")
            if not self._stopping.wait(RESTART):
                logger.error("The task worker has ended and is restarting. Deliveries continue.")

    def _controller(self) -> WorkController:
        # Not celery.apps.worker, which installs signal handlers of the process.
        return self._celery.WorkController(
            pool="threads",
            concurrency=settings.CELERY_WORKER_CONCURRENCY,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            hostname="embedded@connect-sim",
            loglevel=logging.WARNING,
        )

    def start(self) -> None:
        """Start consuming."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the worker to stop consuming."""
        self._stopping.set()
        state.should_stop = 0  # type: ignore[assignment]

    def stop(self) -> None:
        """Wait for tasks: an idle worker, which would notice within 2 s, ends with the process."""
        self.request_stop()
        deadline = time.monotonic() + TASKS
        while state.reserved_requests and time.monotonic() < deadline:
            self._thread.join(0.02)
