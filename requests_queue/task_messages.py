"""Publication of Celery tasks that the scheduler starts anyway.

A lost message only delays the task, so an unavailable broker neither delays nor fails a request.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError
from kombu.pools import producers

TIMEOUT = 0.5  # seconds
# What an unavailable broker raises.
UNAVAILABLE = (OperationalError, redis.RedisError, OSError)


def send(task: str, *args: Any) -> None:
    """Publish a task once; raises one of UNAVAILABLE."""
    with producers[_connection()].acquire(block=True, timeout=TIMEOUT) as producer:
        current_app.send_task(task, args, producer=producer, retry=False, ignore_result=True)


@lru_cache(maxsize=1)
def _connection() -> Any:
    options = {
        **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry_policy": {"max_retries": 0},
    }
    return current_app.connection_for_write(connect_timeout=TIMEOUT, transport_options=options)
