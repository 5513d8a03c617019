"""Event loops in threads: how they start, and what a process needs for thousands of requests."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from django.core.management import CommandError

logger = logging.getLogger(__name__)

START = 30.0  # seconds that the start of a loop may take
# Files that a process needs beside those of requests in flight: the web server's connections, the
# database's, and idle ones to handlers.
_OTHER_FILES = 1500


class StartFailed(CommandError):
    """A loop could not start; the text says why.

    A management command that starts one prints the text and exits with code 1.
    """


def wait_for_start(started: Future[None], what: str) -> None:
    """Wait until a loop in another thread has started; raises StartFailed, also if it hangs."""
    try:
        started.result(START)
    except TimeoutError:
        raise StartFailed(f"{what} did not start within {START:g} s. Start it again.") from None
    except Exception as error:
        raise StartFailed(f"{what} could not start. {error}") from error


def new_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop: uvloop where it runs, asyncio's own elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def raise_file_limit() -> None:
    """Raise the soft limit of open files, where it may be: each request in flight needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fitting(slots: int) -> int:
    """Return how many requests may be in flight: `slots`, or fewer where files are limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return slots
    room = soft - min(_OTHER_FILES, soft // 2)
    if slots > room:
        logger.warning(
            "SIM_CALLS is %d, but with %d open files there is room for %d requests in flight. "
            "Raise the limit of open files (ulimit -n) to have more.",
            slots, soft, room,
        )  # fmt: skip
    return min(slots, room)
