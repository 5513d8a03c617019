"""Celery's consumer, which an error at the broker restarts instead of ending its worker.

When Redis goes away while a message is acknowledged, kombu raises errors that Celery does not
count as connection errors, also while it cleans up after one; the worker would then end with exit
code 1. Deliveries do not need the consumer: the engine runs in a thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.bootsteps import CLOSE, TERMINATE  # type: ignore[attr-defined]
from celery.worker import consumer

logger = logging.getLogger(__name__)

COLLECT_SOCKET_TIMEOUT = 1.0  # seconds that a frozen broker may hold up the cleanup


class Consumer(consumer.Consumer):
    """A consumer that goes on after any error; a stop ends it as usual."""

    def start(self) -> None:
        """Consume until the worker stops."""
        while self.blueprint.state not in (CLOSE, TERMINATE):
            try:
                super().start()
            except Exception:
                # Celery pauses for a second itself once restarts are frequent.
                logger.warning(
                    "The task consumer failed and is restarted. Deliveries continue.", exc_info=True
                )
                self._reset()

    def _reset(self) -> None:
        """Drop the connection and what belongs to it, as Celery does after a connection error."""
        connection, self.connection = self.connection, None
        if connection is not None:
            _attempt(partial(connection.collect, socket_timeout=COLLECT_SOCKET_TIMEOUT))
        _attempt(self.on_close)
        _attempt(partial(self.blueprint.restart, self))


def _attempt(cleanup: Callable[[], Any]) -> None:
    """Clean up a broken connection; its errors say nothing that is not logged already."""
    try:
        cleanup()
    except Exception as error:
        logger.debug("Cleaning up a broken connection failed: %r", error, exc_info=error)
