"""When engines look for due deliveries: wake-ups and the next due moment.

The engine of this process is woken directly. Those of other processes wait for a key in Redis
(`Listener`), and for a task of Celery with any other broker. It is only a hint, since every
engine polls the database each second: without a broker, deliveries start a second later, and the
caller of `after_commit` neither waits nor fails.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import transaction

from requests_queue import task_messages
from requests_queue.db import sql
from requests_queue.signals import storing_changes
from requests_queue.task_messages import TIMEOUT
from webhooks.signals import engine_woken

logger = logging.getLogger(__name__)

# A sorted set with one member while an engine is to be woken. Adding it again changes nothing, so
# one hint is enough for any number of deliveries, and Redis gives it to one waiting engine only:
# with publish and subscribe, all of them would read the database after each commit.
KEY = "connect-sim:wake-ups"
_PAUSE_AFTER_FAILURE = 5.0
_REDIS = ("redis:", "rediss:")
_AWAY = "The broker is unavailable (%s): deliveries start up to 1 s later."
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
            task_messages.send("webhooks.tasks.pump")
    except task_messages.unavailable() as error:
        _paused_until = time.monotonic() + _PAUSE_AFTER_FAILURE
        logger.warning(_AWAY, type(error).__name__)


def report(kind: str) -> None:
    """Report that an engine of this process is woken; `kind` is one of KINDS."""
    engine_woken.send(sender=None, kind=kind)


def is_broker_in_memory() -> bool:
    """Whether the broker is `memory://`: no other process can reach it."""
    return bool(settings.CELERY_BROKER_URL.startswith("memory:"))


def is_broker_redis() -> bool:
    """Whether the broker is a Redis server; otherwise Celery alone can reach it."""
    return bool(settings.CELERY_BROKER_URL.startswith(_REDIS))


@lru_cache(maxsize=1)
def _redis() -> Any:
    # Not with this module: most sandboxes have no Redis, and it takes 8 MiB.
    import redis

    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
    )


def listen(wake: Callable[[], None]) -> Listener | None:
    """Call `wake` after wake-ups of other processes, where they come through Redis."""
    return Listener(wake) if is_broker_redis() else None


WAIT = 5.0  # seconds of one command of the listener, within which a dead connection is noticed
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before the next connection, by errors in a row


class Listener:
    """Calls `wake` after each wake-up of Redis; create and close it inside the running loop.

    Losing one costs latency only, so after an error it connects again with a pause.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._errors = 0
        self._polled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._task = asyncio.create_task(self._run())

    def note_poll(self, *, has_room: bool) -> None:
        """Go on after a poll; without free slots, leave wake-ups to other engines."""
        if has_room:
            self._has_room.set()
        else:
            self._has_room.clear()
        self._polled.set()

    async def close(self) -> None:
        """Receive no more."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        import redis

        while True:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                if not self._errors:
                    logger.warning(_AWAY, type(error).__name__)
                self._errors += 1
                await asyncio.sleep(PAUSES[min(self._errors, len(PAUSES)) - 1])
            except Exception:
                logger.exception("The listener for wake-ups has failed, and is starting again.")
                await asyncio.sleep(PAUSES[-1])

    async def _listen(self) -> None:
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        async with redis.asyncio.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_connect_timeout=TIMEOUT,
            socket_timeout=WAIT + TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        ) as client:
            while True:
                await self._has_room.wait()
                woken = await client.bzpopmin(KEY, timeout=WAIT)
                if self._errors:
                    logger.warning("The broker is available again.")
                    self._errors = 0
                if not woken:
                    continue
                report(MESSAGE)
                self._polled.clear()
                self._wake()
                # One poll is enough for all wake-ups until its end.
                await self._polled.wait()
                if not self._has_room.is_set():
                    # It may not have claimed all that is due.
                    await client.zadd(KEY, {"": 0})


def next_due(now: datetime) -> datetime | None:
    """Return when the next pending delivery is due that isn't yet, or None.

    That is when its webhook's backoff ends, and not before its own due date.
    """
    # A subquery with a limit: PostgreSQL would read all pending deliveries first, for an EXISTS.
    rows = sql.fetch(
        f"""
        SELECT at FROM (
            SELECT earliest_possible_trigger AS at FROM webhooks_webhook w
            WHERE deleted_at IS NULL AND active AND NOT out_of_order
            AND earliest_possible_trigger > %(now)s AND (
                SELECT id FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
                WHERE webhook_id = w.id AND state = 'waiting' AND NOT forced
                AND (due_at IS NULL OR due_at <= w.earliest_possible_trigger) LIMIT 1
            ) IS NOT NULL ORDER BY earliest_possible_trigger LIMIT 1
        ) backoff UNION ALL SELECT at FROM (
            SELECT d.due_at AS at FROM webhooks_delivery d {sql.indexed_by("delivery_due")}
            JOIN webhooks_webhook w ON w.id = d.webhook_id
            WHERE d.state = 'waiting' AND d.due_at > %(now)s AND w.active AND NOT w.out_of_order
            AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger < d.due_at)
            ORDER BY d.due_at LIMIT 1
        ) own
        """,
        {"now": sql.datetime_param(now)},
    )
    moments = (sql.datetime_value(moment) for (moment,) in rows)
    return min((moment for moment in moments if moment is not None), default=None)
