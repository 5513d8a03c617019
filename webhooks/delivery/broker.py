"""Whether the broker answers, for whoever wonders; deliveries don't depend on it."""

from __future__ import annotations

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT = 0.5


def is_in_process() -> bool:
    """Whether the broker is this process's own memory."""
    return bool(settings.CELERY_BROKER_URL.startswith("memory:"))


def answers() -> bool:
    """Whether the broker can be reached, within half a second."""
    if is_in_process():
        return True
    try:
        with redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False
