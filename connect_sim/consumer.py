"""Celery consumer that restarts after broker errors, which would otherwise end the worker.

If Redis fails during an acknowledgement or the cleanup after an error, kombu raises errors that
Celery does not handle as connection errors, and the worker ends with exit code 1. Deliveries do not
need the consumer: the engine runs in its own thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.bootsteps import CLOSE, TERMINATE  # type: ignore[attr-defined]
from celery.worker import consumer

logger = logging.getLogger(__name__)

COLLECT_SOCKET_TIMEOUT = 1.0  # seconds that the cleanup waits for a frozen broker


class Consumer(consumer.Consumer):
    """A consumer that restarts after any error."""

    def start(self) -> None:
        """Consume until the worker stops."""
        while self.blueprint.state not in (CLOSE, TERMINATE):
            try:
                super().start()
            except Exception:
                # Celery itself pauses for a second if restarts are frequent.
                logger.warning(
                    "The task consumer failed and is restarting. Deliveries continue.",
                    exc_info=True,
                )
                self._reset()

    def _reset(self) -> None:
        """Drop the connection and its resources, as Celery does after a connection error."""
        connection, self.connection = self.connection, None
        if connection is not None:
            _clean_up(partial(connection.collect, socket_timeout=COLLECT_SOCKET_TIMEOUT))
        _clean_up(self.on_close)
        _clean_up(partial(self.blueprint.restart, self))


def _clean_up(cleanup: Callable[[], Any]) -> None:
    """Run a cleanup of a broken connection; its errors add nothing to what is already logged."""
    try:
        cleanup()
    except Exception as error:
        logger.debug("The cleanup of a broken connection failed: %r", error, exc_info=error)
