"""The delayed responses of this process; a reset or restore sends them, and delays no more.

Its gate would otherwise wait for them: a call is inside until its response is sent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager

_guard = threading.Lock()
_delays: set[Future[None]] = set()
_suspensions = 0


def begin() -> Future[None]:
    """Return the future that ends a delay; it is done already while delays are suspended."""
    future: Future[None] = Future()
    with _guard:
        if _suspensions:
            future.set_result(None)
        else:
            _delays.add(future)
    future.add_done_callback(_forget)
    return future


def end(future: Future[None]) -> None:
    """End a delay, unless the client has left."""
    try:
        future.set_result(None)
    except InvalidStateError:
        pass


@contextmanager
def suspended() -> Iterator[None]:
    """End all delays, and begin none in the block."""
    global _suspensions
    with _guard:
        _suspensions += 1
        delays = list(_delays)
    try:
        for future in delays:
            end(future)
        yield
    finally:
        with _guard:
            _suspensions -= 1


def _forget(future: Future[None]) -> None:
    with _guard:
        _delays.discard(future)
