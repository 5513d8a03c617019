"""What an engine holds: the SQL thread must find each delivery there at any moment."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from tests import make
from webhooks.delivery import engine, polling, retry
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.next_poll import NextPoll
from webhooks.delivery.polling import PollResult, Window, key_of
from webhooks.delivery.recording import Stored

WEBHOOK = {"id": "WH-1", "account_id": "VA-1"}


def claimed(pk: int, generation: int = 0) -> ClaimedDelivery:
    return ClaimedDelivery(pk, uuid.uuid4(), 1, False, make.AT, WEBHOOK, generation=generation)


def result(pk: int) -> AttemptResult:
    return AttemptResult(claimed(pk), retry.SUCCESS, 1)


@contextmanager
def held_at_each_line(window: Window) -> Iterator[list[set[int]]]:
    """Collect which deliveries are held, before each line of the engine and its window."""
    held: list[set[int]] = []

    def trace(frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename not in (engine.__file__, polling.__file__):
            return None
        held.append({each.delivery_id for each in window.held()})
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield held
    finally:
        sys.settrace(before)


def test_delivery_is_held_while_its_request_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine.Engine()
    one._window.claimed.extend([claimed(1), claimed(2)])

    async def poll(*args: Any) -> PollResult:
        return PollResult(unavailable=True)

    async def run(*args: Any) -> None:
        await asyncio.Event().wait()

    async def tick() -> list[set[int]]:
        one._next, one._stopped, one._listener = NextPoll(), asyncio.Event(), None
        one._stopped.set()
        with held_at_each_line(one._window) as held:
            await one._tick()
        return held

    for name in ("_sql", "_poller", "_transport"):
        monkeypatch.setattr(one, name, SimpleNamespace(run=poll, poll=poll), raising=False)
    monkeypatch.setattr(engine.InFlightCall, "run", run)
    held = asyncio.run(tick())
    assert len(held) > 10 and all(each == {1, 2} for each in held)
    assert not one._window.claimed


def test_result_is_held_while_it_is_moved_behind_others() -> None:
    window = Window()
    results = {key_of(each.claimed): each for each in map(result, (1, 2, 3))}
    window.results.update(results)
    first, second, third = results
    with held_at_each_line(window) as held:
        window.forget_stored(
            PollResult(stored={second: Stored.SETTLED, first: Stored.KEPT}, failed_alone=[first])
        )
    assert held and all({1, 3} <= each for each in held)
    assert list(window.results) == [third, first]


def test_claimed_delivery_is_held_while_others_are_abandoned() -> None:
    window = Window()
    window.claimed.extend([claimed(1), claimed(2, generation=5)])
    with held_at_each_line(window) as held:
        window.abandon_others(5)
    assert held and all(2 in each for each in held)
    assert [each.delivery_id for each in window.claimed] == [2]
