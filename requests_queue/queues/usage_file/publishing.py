"""Publication of the Celery task that processes a file, after the commit.

A lost message is no problem: `due.py` publishes the task again when the lease expires. So an
unreachable broker neither delays nor fails a request.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from kombu.pools import producers

logger = logging.getLogger(__name__)

TASK = "requests_queue.queues.usage_file.tasks.process"
_SOCKET_TIMEOUT = 0.5


def publish_after_commit(pk: str) -> None:
    """Publish the task after the commit (robust: errors do not reach the caller)."""
    transaction.on_commit(partial(publish, pk), robust=True)


def publish(pk: str) -> None:
    """Publish the task, without retries."""
    try:
        with producers[_connection()].acquire(block=True, timeout=_SOCKET_TIMEOUT) as producer:
            current_app.send_task(TASK, (pk,), producer=producer, retry=False, ignore_result=True)
    except (OperationalError, redis.RedisError, OSError) as error:
        logger.warning(
            "The broker is unreachable (%s). %s will be processed later.", type(error).__name__, pk
        )


@lru_cache(maxsize=1)
def _connection() -> Any:
    options: dict[str, Any] = dict(settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    if not settings.CELERY_BROKER_URL.startswith("memory:"):
        options |= {
            "socket_timeout": _SOCKET_TIMEOUT,
            "socket_connect_timeout": _SOCKET_TIMEOUT,
            "retry_policy": {"max_retries": 0},
        }
    return current_app.connection_for_write(
        connect_timeout=_SOCKET_TIMEOUT, transport_options=options
    )
