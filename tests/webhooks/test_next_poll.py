"""When an engine stores results: at once after a pause, else together with others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from tests import make
from webhooks import states
from webhooks.delivery import engine
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim
from webhooks.delivery.engine import Engine, Poll

WEBHOOK: Any = SimpleNamespace(id="WH-1", account_id="VA-1")


class Polling(Engine):
    """An engine without a database, which counts its polls."""

    def __init__(self) -> None:
        super().__init__()
        self.polls: list[Poll] = []
        self._sql: Any = SimpleNamespace(run=self._poll)
        self._due, self._stopped, self._listener = asyncio.Event(), asyncio.Event(), None

    async def _poll(self, function: object, poll: Poll) -> None:
        self.polls.append(poll)
        poll.stored = list(poll.results)

    def put_in_flight(self, count: int) -> list[InFlight]:
        """Put attempts in flight."""
        attempts = [
            InFlight(Claim(pk, uuid.uuid4(), 1, False, make.AT, WEBHOOK)) for pk in range(count)
        ]
        self._window.in_flight.update({each.claim.key: each for each in attempts})
        return attempts


def succeeded(each: InFlight) -> AttemptResult:
    return AttemptResult(each.claim, states.SUCCESS, 1)


def run(check: Callable[[Polling], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await check(Polling())

    asyncio.run(main())


def test_last_result_is_stored_at_once() -> None:
    async def check(one: Polling) -> None:
        [last] = one.put_in_flight(1)
        one._on_end(last, succeeded(last))
        assert one._due.is_set()

    run(check)


def test_results_are_collected_while_requests_are_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "TICK", 0.0)

    async def check(one: Polling) -> None:
        attempts = one.put_in_flight(5)
        for first, second in (attempts[:2], attempts[2:4]):
            one._on_end(first, succeeded(first))
            one._on_end(second, succeeded(second))
            assert not one._due.is_set()
            await asyncio.wait_for(one._due.wait(), 30)
            await one._tick()
            assert len(one.polls[-1].results) == 2 and not one._due.is_set()

    run(check)


def test_lone_result_is_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FLUSH", 3600.0)
    monkeypatch.setattr(engine, "TICK", 0.0)

    async def check(one: Polling) -> None:
        first, second, _ = one.put_in_flight(3)
        await one._tick()
        one._on_end(first, succeeded(first))
        await asyncio.wait_for(one._due.wait(), 30)
        await one._tick()
        one._on_end(second, succeeded(second))
        assert one._timer and one._timer.when() > asyncio.get_running_loop().time() + 3000

    run(check)


def test_poll_stores_what_was_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TICK", 0.1)

    async def check(one: Polling) -> None:
        first, _ = one.put_in_flight(2)
        one._on_end(first, succeeded(first))
        # The tick ends by its own timer: the one of the result has been cancelled.
        await one._tick()
        assert len(one.polls) == 1 and not one._due.is_set()

    run(check)


def test_every_claim_starts_though_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TICK", 0.0)
    started: list[int] = []

    async def run_(self: InFlight, *args: Any) -> None:
        started.append(self.claim.delivery_id)
        await asyncio.Event().wait()

    def begin(claim: Claim) -> InFlight:
        if claim.delivery_id == 0:
            raise RuntimeError("a defect")
        return InFlight(claim)

    async def check(one: Polling) -> None:
        one._transport: Any = None
        one._window.claims.extend(each.claim for each in one.put_in_flight(2))
        one._window.in_flight.clear()
        monkeypatch.setattr(engine, "InFlight", begin)
        with pytest.raises(RuntimeError, match="a defect"):
            await one._tick()
        await one._tick()
        await asyncio.sleep(0)
        assert started == [1]

    monkeypatch.setattr(InFlight, "run", run_)
    run(check)
