"""Wake-ups: tell an engine that a delivery is due.

The engine of this process is woken directly. Those of other processes wait for a key in Redis
(`wakeup_listener`), and for a task of Celery with any other broker. It is only a hint, since every
engine polls the database each second: without a broker, deliveries start a second later, and the
caller of `after_commit` neither waits nor fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from kombu.pools import producers
from redis.backoff import NoBackoff
from redis.retry import Retry

from requests_queue.signals import storing_changes
from webhooks.signals import engine_woken

logger = logging.getLogger(__name__)

# A sorted set with one member while an engine is to be woken. Adding it again changes nothing, so
# one hint is enough for any number of deliveries, and Redis gives it to one waiting engine only:
# with publish and subscribe, all of them would read the database after each commit.
KEY = "connect-sim:wake-ups"
TIMEOUT = 0.5  # seconds
_TIMEOUTS: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
_PAUSE_AFTER_FAILURE = 5.0
_REDIS = ("redis:", "rediss:")
# What wakes an engine: a commit in its own process, a message of another one, or its timer.
KINDS = COMMIT, MESSAGE, TIMER = "commit", "message", "timer"
# Wakes the engine of this process, which sets it while it runs.
wake_engine: Callable[[], None] | None = None
# Until when (monotonic) nothing is published, since the broker has just failed.
_paused_until = 0.0


def after_commit() -> None:
    """Wake the engine once the transaction is committed; a failure doesn't reach the caller."""
    transaction.on_commit(send, robust=True)


def after_action() -> None:
    """Store what has caused an action in its transaction, and wake the engine after that."""
    storing_changes.send(sender=None)
    after_commit()


def send() -> None:
    """Wake this process's engine, or one of another process.

    Nothing is sent when the broker has just failed; nor to `memory://`, which no other process can
    read.
    """
    global _paused_until
    if wake_engine is not None:
        report(COMMIT)
        wake_engine()
        return
    if is_broker_in_memory() or time.monotonic() < _paused_until:
        return
    try:
        if is_broker_redis():
            _redis().zadd(KEY, {"": 0})
        else:
            _publish()
    except (OperationalError, redis.RedisError, OSError) as error:
        _paused_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        logger.warning(
            "The broker is unavailable (%s): deliveries start up to 1 s later.",
            type(error).__name__,
        )


def report(kind: str) -> None:
    """Report that an engine of this process is woken; `kind` is one of KINDS."""
    engine_woken.send(sender=None, kind=kind)


def send_task(name: str) -> None:
    """Publish a task that the scheduler starts anyway; a failure doesn't reach the caller."""
    try:
        _publish(name)
    except (OperationalError, redis.RedisError, OSError) as error:
        logger.warning(
            "The broker is unavailable (%s): the scheduler starts %s.", type(error).__name__, name
        )


def is_broker_in_memory() -> bool:
    """Whether the broker is `memory://`: no other process can reach it."""
    return bool(settings.CELERY_BROKER_URL.startswith("memory:"))


def is_broker_redis() -> bool:
    """Whether the broker is a Redis server; otherwise Celery alone can reach it."""
    return bool(settings.CELERY_BROKER_URL.startswith(_REDIS))


def is_broker_reachable() -> bool:
    """Whether the broker responds within half a second."""
    if is_broker_in_memory():
        return True
    try:
        with redis.Redis.from_url(
            settings.CELERY_BROKER_URL, retry=Retry(NoBackoff(), 0), **_TIMEOUTS
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


def _publish(name: str = "webhooks.tasks.pump") -> None:
    with producers[_connection()].acquire(block=True, timeout=TIMEOUT) as producer:
        current_app.send_task(name, producer=producer, retry=False, ignore_result=True)


@lru_cache(maxsize=1)
def _connection() -> Any:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **_TIMEOUTS}
    return current_app.connection_for_write(connect_timeout=TIMEOUT, transport_options=options)


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.CELERY_BROKER_URL, **_TIMEOUTS)
