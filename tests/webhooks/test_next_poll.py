"""When an engine polls next: results are collected for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from webhooks.delivery.engine import NextPoll

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
        following.note_result(is_last=True)
        assert await following.wait(0)

    run(check)


def test_results_are_collected_while_requests_are_in_flight() -> None:
    async def check(following: NextPoll) -> None:
        for _ in range(2):
            following.note_result(is_last=False)
            following.note_result(is_last=False)
            assert not await following.wait(0)
            assert await following.wait(LONG)
            following.begin()

    run(check)


def test_poll_stores_what_was_collected() -> None:
    async def check(following: NextPoll) -> None:
        following.note_result(is_last=False)
        following.begin()
        assert not await following.wait(0.1)

    run(check)
