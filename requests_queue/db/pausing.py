"""Background work of this process, which a replacement of all data pauses.

Work and the delivery engine hold a lock shared; a reset or restore of the sandbox holds it
exclusively. `requests_queue.db.background_work` adds what keeps out the work of other processes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_condition = threading.Condition()
_running = 0
_is_paused = False
_draining = 0


class _Held(threading.local):
    """How often this thread holds the lock."""

    depth = 0


_held = _Held()


@contextmanager
def running() -> Iterator[None]:
    """Hold the lock shared, after a pause if there is one. Reentrant."""
    global _running
    with _condition:
        if not _held.depth:
            _condition.wait_for(lambda: not _is_paused)
        _running += not _held.depth
        _held.depth += 1
    try:
        yield
    finally:
        with _condition:
            _held.depth -= 1
            _running -= not _held.depth
            _condition.notify_all()


@contextmanager
def paused(timeout: float) -> Iterator[None]:
    """Hold the lock exclusively; raises TimeoutError if work is still running after `timeout` s."""
    global _is_paused
    deadline = time.monotonic() + timeout
    with _condition:
        if not _condition.wait_for(lambda: not _is_paused, timeout):
            raise TimeoutError
        _is_paused = True
    try:
        with _condition:
            if not _condition.wait_for(lambda: not _running, max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            _held.depth += 1
        try:
            yield
        finally:
            _held.depth -= 1
    finally:
        with _condition:
            _is_paused = False
            _condition.notify_all()


@contextmanager
def draining() -> Iterator[None]:
    """Let the engine claim no deliveries, while it still records those in flight."""
    global _draining
    with _condition:
        _draining += 1
    try:
        yield
    finally:
        with _condition:
            _draining -= 1


def is_draining() -> bool:
    """Return whether no delivery may be claimed."""
    return _draining > 0
