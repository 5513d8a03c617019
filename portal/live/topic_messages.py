"""Notices of topics between processes: published to Redis, and received by web servers.

Messages are hints: without a broker, pages poll. A thread publishes, so that no commit waits for
the broker, and it gathers what is announced meanwhile. A broker in memory means one process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable

from django.conf import settings

from requests_queue import topics
from requests_queue.task_messages import TIMEOUT
from requests_queue.topics import Notice
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

CHANNEL = "connect-sim:topics"
_GATHER = 0.05  # seconds between two messages
_PAUSE_AFTER_FAILURE = 5.0
_OPENS_WITHIN = 2.0  # seconds
# More than these become a notice of everything.
_MAX_TOPICS = 200

# Its own messages are ignored: a process hears its own notices directly.
_process = uuid.uuid4().hex


class Publisher:
    """Publishes the notices of this process in a thread, which starts with the first one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._pending: dict[frozenset[str] | None, set[str]] = {}
        self._thread: threading.Thread | None = None

    def put(self, notice: Notice) -> None:
        """Take a notice; returns at once."""
        with self._condition:
            self._pending.setdefault(notice.accounts, set()).update(notice.topics)
            # After a fork the thread is another process's.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._publish_forever, name="topic-publisher", daemon=True
                )
                self._thread.start()
            self._condition.notify()

    def _publish_forever(self) -> None:
        import redis

        client = redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        )
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._pending)
                pending, self._pending = self._pending, {}
            try:
                client.publish(CHANNEL, _encode(pending))
                time.sleep(_GATHER)
            except (redis.RedisError, OSError):
                # What is announced meanwhile is sent afterwards, in one message.
                time.sleep(_PAUSE_AFTER_FAILURE)


class Subscription:
    """Receives the notices of other processes, in the running event loop."""

    def __init__(self, receive: Callable[[Notice], None], fail: Callable[[], None]) -> None:
        self._receive, self._fail = receive, fail
        self._opened = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def is_open(self) -> bool:
        """Wait until messages are received; return False if the broker is unavailable."""
        opened = asyncio.ensure_future(self._opened.wait())
        try:
            await asyncio.wait(
                {opened, self._task}, timeout=_OPENS_WITHIN, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            opened.cancel()
        return self._opened.is_set() and not self._task.done()

    def close(self) -> None:
        """Receive no more."""
        self._task.cancel()

    async def _run(self) -> None:
        import redis.asyncio

        client = redis.asyncio.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_connect_timeout=TIMEOUT,
            health_check_interval=10,
        )
        try:
            async with client, client.pubsub() as messages:
                await messages.subscribe(CHANNEL)
                while True:
                    message = await messages.get_message(timeout=5)
                    if message is None:
                        continue
                    self._opened.set()
                    if message["type"] == "message":
                        self._take(message["data"])
        except (redis.RedisError, OSError) as error:
            logger.warning("The broker is unavailable (%s): open pages poll.", type(error).__name__)
            self._fail()

    def _take(self, data: bytes) -> None:
        message = json.loads(data)
        if message["from"] != _process:
            for accounts, changed in message["notices"]:
                known = None if accounts is None else frozenset(accounts)
                self._receive(Notice(known, frozenset(changed)))


def subscribe(receive: Callable[[Notice], None], fail: Callable[[], None]) -> Subscription | None:
    """Receive the notices of other processes, if there may be any.

    `fail` is called if the broker becomes unavailable.
    """
    return None if wakeup.is_broker_in_memory() else Subscription(receive, fail)


def start() -> None:
    """Publish what this process announces, if there may be others."""
    if not wakeup.is_broker_in_memory():
        topics.LISTENERS.append(Publisher().put)


def _encode(pending: dict[frozenset[str] | None, set[str]]) -> str:
    notices = [
        (
            None if accounts is None else sorted(accounts),
            sorted(changed) if len(changed) <= _MAX_TOPICS else [topics.EVERYTHING],
        )
        for accounts, changed in pending.items()
    ]
    return json.dumps({"from": _process, "notices": notices})
