"""A hint to the engines that something is due: one message however many deliveries wait.

Only a hint: the engines look at the table themselves, each second. So a broker that is away
costs latency, never an event, and never the caller's time.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from kombu.pools import producers

logger = logging.getLogger(__name__)

_KEY = "connect-sim:wake-up"
_SOCKET_TIMEOUT = 0.5
_REST_AFTER_FAILURE = 5.0
# Seconds for which a message is taken to be on its way; a lost one costs no more than that.
_EXPIRY = 1.0
_guard = threading.Lock()
# Until when (monotonic) a message on `memory://` is on its way.
_pending_until = 0.0
_silent_until = 0.0


def after_commit() -> None:
    """Wake the engine once the transaction is committed (robust: a failure is not the caller's)."""
    transaction.on_commit(send, robust=True)


def send() -> None:
    """Publish `pump`, unless one is under way or the broker has just failed."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        if _take_flag():
            _publish()
    except (OperationalError, redis.RedisError, OSError) as error:
        _silent_until = time.monotonic() + _REST_AFTER_FAILURE
        logger.warning(
            "The broker is away (%s): deliveries start a second later.", type(error).__name__
        )


def clear() -> None:
    """Take the flag down, so that the next change sends a new message."""
    global _pending_until
    if _in_memory():
        _pending_until = 0.0
    else:
        try:
            _flags().delete(_KEY)
        except redis.RedisError:
            logger.info("The wake-up flag could not be cleared; it runs out by itself.")


def _take_flag() -> bool:
    """Return whether to send a message: none is on its way, or it must have been lost."""
    global _pending_until
    if not _in_memory():
        return bool(_flags().set(_KEY, "1", nx=True, px=round(_EXPIRY * 1000)))
    now = time.monotonic()
    with _guard:
        if now < _pending_until:
            return False
        _pending_until = now + _EXPIRY
    return True


def _publish() -> None:
    with producers[_connection()].acquire(block=True, timeout=_SOCKET_TIMEOUT) as producer:
        current_app.send_task(
            "webhooks.tasks.pump", producer=producer, retry=False, ignore_result=True
        )


def _in_memory() -> bool:
    return bool(settings.CELERY_BROKER_URL.startswith("memory:"))


@lru_cache(maxsize=1)
def _connection() -> Any:
    options: dict[str, Any] = dict(settings.CELERY_BROKER_TRANSPORT_OPTIONS)
    if not _in_memory():
        options |= {
            "socket_timeout": _SOCKET_TIMEOUT,
            "socket_connect_timeout": _SOCKET_TIMEOUT,
        }
    return current_app.connection_for_write(
        connect_timeout=_SOCKET_TIMEOUT, transport_options=options
    )


@lru_cache(maxsize=1)
def _flags() -> redis.Redis:
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL,
        socket_timeout=_SOCKET_TIMEOUT,
        socket_connect_timeout=_SOCKET_TIMEOUT,
    )
