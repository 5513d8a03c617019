"""Wait in an engine's event loop for the wake-ups that other processes send through Redis.

Losing one costs latency only: the engine polls the database each second as well. So after an error
the listener connects again with a pause, and nothing else depends on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

WAIT = 5.0  # seconds of one command, within which a dead connection is noticed
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before the next connection, by errors in a row


class Listener:
    """Calls `wake` after each wake-up; create and close it inside the running loop."""

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
        while True:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                await asyncio.sleep(self._note_error(error))
            except Exception:
                logger.exception("The listener for wake-ups has failed, and is starting again.")
                await asyncio.sleep(PAUSES[-1])

    async def _listen(self) -> None:
        async with redis.asyncio.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_connect_timeout=wakeup.TIMEOUT,
            socket_timeout=WAIT + wakeup.TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        ) as client:
            while True:
                await self._has_room.wait()
                woken = await client.bzpopmin(wakeup.KEY, timeout=WAIT)
                self._note_success()
                if not woken:
                    continue
                wakeup.report(wakeup.MESSAGE)
                self._polled.clear()
                self._wake()
                # One poll is enough for all wake-ups until its end.
                await self._polled.wait()
                if not self._has_room.is_set():
                    # It may not have claimed all that is due.
                    await client.zadd(wakeup.KEY, {"": 0})

    def _note_error(self, error: Exception) -> float:
        """Log the first error of an outage, and return how many seconds to pause."""
        if not self._errors:
            logger.warning(
                "The broker is unavailable (%s): deliveries start up to 1 s later.",
                type(error).__name__,
            )
        self._errors += 1
        return PAUSES[min(self._errors, len(PAUSES)) - 1]

    def _note_success(self) -> None:
        if self._errors:
            logger.warning("The broker is available again.")
            self._errors = 0


def start(wake: Callable[[], None]) -> Listener | None:
    """Listen, if there may be other processes and their broker is Redis."""
    return Listener(wake) if wakeup.is_broker_redis() else None
