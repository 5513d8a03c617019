"""Event loops in threads: their start, their SQL thread, and what they need of the process."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from django.core.management import CommandError
from django.db import Error as DatabaseError
from django.db import connection

from requests_queue.db import turns

logger = logging.getLogger(__name__)

T = TypeVar("T")

START_TIMEOUT = 30.0  # seconds
# Seconds after which a thread that computes lets another one run; Python's default is 0.005. A
# delivery passes between a loop and its SQL thread several times, and each time may wait for a
# thread of the web server.
SWITCH_INTERVAL = 0.0005
# Files that a process needs in addition to those of requests in flight: connections of the web
# server, of the database, and idle ones to handlers.
_OTHER_FILES = 1500


class StartFailed(CommandError):
    """A loop could not start; the text says why.

    A management command that starts one prints the text and exits with code 1.
    """


def wait_for_start(started: Future[None], name: str) -> None:
    """Wait until a loop in another thread has started; raises StartFailed, also after a hang."""
    try:
        started.result(START_TIMEOUT)
    except TimeoutError:
        raise StartFailed(
            f"{name} did not start within {START_TIMEOUT:g} s. Start it again."
        ) from None
    except Exception as error:
        raise StartFailed(f"{name} could not start. {error}") from error


def new_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of event loops: uvloop's where it is installed, otherwise asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def switch_threads_often() -> None:
    """Let threads of this process switch every SWITCH_INTERVAL seconds."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def raise_file_limit() -> None:
    """Raise the soft limit of open files as far as allowed: each request in flight needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < limit:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def fitting_slots(slots: int) -> int:
    """Return how many requests may be in flight: `slots`, or fewer where files are limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return slots
    available = soft - min(_OTHER_FILES, soft // 2)
    if slots > available:
        logger.warning(
            "SIM_CALLS is %d, but %d open files allow only %d requests in flight. "
            "Raise the limit of open files (ulimit -n).",
            slots,
            soft,
            available,
        )
    return min(slots, available)


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event for some seconds, and return whether it is set."""
    # Not `wait_for`, which Python 3.11 runs in a task of its own.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class SqlThread:
    """A thread with one database connection, which runs functions one after another."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(
            1, thread_name_prefix="delivery-sql", initializer=turns.come_first
        )

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run the function in the thread and return its result, in a loop."""
        return await asyncio.wrap_future(self.submit(function, *args))

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run the function in the thread."""
        return self._pool.submit(_with_connection, function, *args)

    def end(self, last: Callable[[], Any]) -> None:
        """Run a last function, ignoring its errors, and close the connection."""
        with suppress(Exception):
            self.submit(last).result()
        with suppress(Exception):
            self._pool.submit(lambda: connection.close()).result()
        self._pool.shutdown()


def _with_connection(function: Callable[..., T], *args: Any) -> T:
    """Run the function; close the connection after an error of the database.

    It may be unusable. The next function opens a new one.
    """
    try:
        return function(*args)
    except DatabaseError:
        connection.close()
        raise
