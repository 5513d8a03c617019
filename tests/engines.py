"""Real delivery engines in tests, and ways to wait for them without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from requests_queue.models import Clock
from webhooks.delivery import attempt, claim
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.engine import Engine
from webhooks.models import Delivery, Webhook


@contextmanager
def running(count: int = 1, **options: Any) -> Iterator[list[Engine]]:
    """Run engines, as worker processes have them."""
    engines = [Engine(**options) for _ in range(count)]
    for engine in engines:
        engine.start()
    try:
        yield engines
    finally:
        for engine in engines:
            engine.stop()


def until(holds: Callable[[], Any], what: str, timeout: float = 60) -> Any:
    """Wait until a fact of the database holds, and return it; fail with `what` otherwise."""
    deadline = time.monotonic() + timeout
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for: {what}")
        _breathe()


def _breathe() -> None:
    import threading

    threading.Event().wait(0.01)


def settled(webhook: Webhook | None = None) -> bool:
    """Whether no delivery is waiting or calling."""
    rows = Delivery.objects.filter(state__in=("waiting", "calling"))
    return not (rows.filter(webhook=webhook) if webhook else rows).exists()


def move_clock(seconds: float) -> None:
    """Move platform time forward without waiting; engines notice when woken."""
    row, _ = Clock.objects.get_or_create(pk=1)
    row.offset += timedelta(seconds=seconds)
    row.save()


def lost_results(generation: int = 0) -> list[AttemptResult]:
    """Return the results of attempts whose workers were lost, as an engine records them."""
    return [attempt.lost(each) for each in claim.lost_claims(generation)]
