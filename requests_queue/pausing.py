"""Background work of this process, which a replacement of all data pauses.

Jobs, tasks and the delivery engine hold a lock shared while they work; a reset or restore of the
sandbox holds it exclusively. `generation` counts the replacements by this process: work that began
in an earlier generation must not write into the new data. The generation that processes share is in
the database (`requests_queue.clock.read`); the delivery engine compares that one.
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
_generation = 0


class Replaced(Exception):
    """The data has been replaced since the work began."""


class _Held(threading.local):
    """How often this thread holds the lock."""

    depth = 0


_held = _Held()


def generation() -> int:
    """Return how often this process has replaced the data."""
    return _generation


@contextmanager
def running(since: int | None = None) -> Iterator[int]:
    """Hold the lock shared, after a pause if there is one; yield the generation. Reentrant.

    Raises Replaced if the generation is no longer `since`.
    """
    global _running
    with _condition:
        if not _held.depth:
            _condition.wait_for(lambda: not _is_paused)
        if since is not None and since != _generation:
            raise Replaced
        _running += not _held.depth
        _held.depth += 1
    try:
        yield _generation
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


def mark_replaced() -> None:
    """Begin a new generation; call while paused, after the commit."""
    global _generation
    with _condition:
        _generation += 1


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
