"""The embedded runtime: web server, Celery worker, scheduler and engine in one process.

The parts are the ones that the distributed set-up runs as processes of their own. Stopping goes
from the outside in: no new HTTP, no scheduler, no new claims, calls under way get a few seconds,
then the worker.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import Celery
from celery.beat import EmbeddedService
from celery.worker import WorkController, state
from django.conf import settings

from connect_sim import web
from connect_sim.celery import app
from webhooks.delivery import engine

logger = logging.getLogger(__name__)
WEB_THREADS = 8
RESTART = 1.0  # seconds before a task worker that has ended is started again


class Runtime:
    """All parts of a sandbox; `start` them, wait, `stop` them. Raises web.PortTaken."""

    def __init__(self, wsgi: Any) -> None:
        self._web = web.Web(wsgi, WEB_THREADS)
        self._worker = _Worker(app)
        self._beat: Any = EmbeddedService(
            app, thread=True, max_interval=5, scheduler_cls="celery.beat:Scheduler"
        )

    def start(self) -> None:
        """Start the engine first, which needs none of the others, and the web server last."""
        engine.start()
        self._worker.start()
        self._beat.start()
        self._web.start()

    def stop(self) -> None:
        """Stop in order, each part with a limit."""
        # The worker notices within two seconds, so it is told before the others are waited for.
        self._worker.tell()
        self._web.stop()
        self._beat.stop()
        engine.stop()
        self._worker.stop()


class _Worker:
    """Celery's worker in a thread; one that ends although nobody stopped it is started again."""

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
                logger.error("The task worker ended and is started again. Deliveries continue.")

    def _controller(self) -> WorkController:
        # WorkController rather than celery.apps.worker: the latter takes the process's signals.
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

    def tell(self) -> None:
        """Ask it to stop consuming."""
        self._stopping.set()
        state.should_stop = 0  # type: ignore[assignment]

    def stop(self) -> None:
        """Wait until it has stopped; a running task may finish."""
        self.tell()
        self._thread.join(5)
        state.should_stop = None
