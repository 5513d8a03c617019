"""Publication of Celery tasks that the scheduler starts anyway.

A lost message only delays the task, so an unavailable broker neither delays nor fails a request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from kombu.pools import producers

TIMEOUT = 0.5  # seconds


def send(task: str, *args: Any) -> None:
    """Publish a task once; raises one of `unavailable()`."""
    with producers[_connection()].acquire(block=True, timeout=TIMEOUT) as producer:
        current_app.send_task(task, args, producer=producer, retry=False, ignore_result=True)


def unavailable() -> tuple[type[Exception], ...]:
    """Return what an unavailable broker raises."""
    import redis

    return OperationalError, redis.RedisError, OSError


@lru_cache(maxsize=1)
def _connection() -> Any:
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry_policy": {"max_retries": 0},
    }
    return current_app.connection_for_write(connect_timeout=TIMEOUT, transport_options=options)
