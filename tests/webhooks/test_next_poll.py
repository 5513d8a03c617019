"""When an engine polls next: results are collected for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from webhooks.delivery.engine import FLUSH_LONGEST, NextPoll

LONG = 30.0


def run(check: Callable[[NextPoll], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await check(NextPoll())

    asyncio.run(main())


def test_poll_is_due_when_asked_until_the_next_one_begins() -> None:
    async def check(following: NextPoll) -> None:
        assert not await following.wait(0)
        following.ask()
        assert await following.wait(LONG) and await following.wait(LONG)
        following.begin()
        assert not await following.wait(0)

    run(check)


def test_last_result_is_stored_at_once() -> None:
    async def check(following: NextPoll) -> None:
        following.note_result(1, 0)
        assert await following.wait(0)

    run(check)


@pytest.mark.parametrize("calls", [1, 1000])
def test_results_are_collected_while_requests_are_in_flight(calls: int) -> None:
    async def check(following: NextPoll) -> None:
        # Under load they would be collected for longer.
        following.note_stored(10_000)
        following.note_result(2, calls)
        assert not await following.wait(0)
        assert await following.wait(LONG)

    run(check)


def test_most_results_are_not_collected_as_long_as_few() -> None:
    async def check(following: NextPoll) -> None:
        following.note_stored(10_000)
        following.note_result(1, 1000)
        following.note_result(2, 1)
        began = asyncio.get_running_loop().time()
        assert following._timer is not None
        assert following._timer.when() - began < FLUSH_LONGEST / 2
        assert await following.wait(LONG)

    run(check)
