"""When an engine polls next: results are collected, and a poll that stored them needs no other."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from webhooks.delivery.next_poll import FLUSH, FLUSH_LONGEST, QUIET, NextPoll

LONG = 30.0


class ClockedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time moves to its next timer, instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_MovingSelector(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now


class _MovingSelector(selectors.SelectSelector):
    def __init__(self, loop: ClockedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now += timeout or 0.0
        return super().select(0)


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
        following.end(10_000, 0)
        following.note_result(2, calls)
        assert not await following.wait(0)
        assert await following.wait(LONG)

    run(check)


def test_most_results_are_not_collected_as_long_as_few() -> None:
    async def check(following: NextPoll) -> None:
        following.end(10_000, 0)
        following.note_result(1, 1000)
        following.note_result(2, 1)
        began = asyncio.get_running_loop().time()
        assert following._timer is not None
        assert following._timer.when() - began < FLUSH_LONGEST / 2
        assert await following.wait(LONG)

    run(check)


@pytest.mark.parametrize(
    ("first", "calls", "pauses", "seconds"),
    [
        # Most requests have returned, and they are many.
        (98, 10, [], QUIET),
        (98, 10, [QUIET / 2, QUIET / 2], 2 * QUIET),
        (98, 10, [QUIET / 2] * 60, FLUSH),
        # Only few have, or few of those in flight.
        (2, 1, [], FLUSH),
        (98, 1000, [], FLUSH),
    ],
)
def test_results_are_stored_when_only_slow_requests_are_left(
    first: int, calls: int, pauses: list[float], seconds: float
) -> None:
    async def results(following: NextPoll) -> None:
        following.note_result(first, calls)
        for n, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            following.note_result(first + n, calls)

    async def main() -> float:
        following = NextPoll()
        async with asyncio.TaskGroup() as group:
            group.create_task(results(following))
            assert await following.wait(LONG)
            return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=ClockedLoop) as runner:
        assert runner.run(main()) == pytest.approx(seconds, rel=0.01)


@pytest.mark.parametrize(
    ("asked", "results", "due"), [(False, 0, False), (False, 1, True), (True, 0, True)]
)
def test_results_that_the_poll_has_stored_lead_to_no_other(
    asked: bool, results: int, due: bool
) -> None:
    async def check(following: NextPoll) -> None:
        following.begin()
        # While the poll is running.
        following.note_result(1, 0)
        if asked:
            following.ask()
        following.end(1, results)
        assert await following.wait(0) == due

    run(check)
