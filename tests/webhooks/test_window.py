"""What an engine holds: claims, attempts in flight, and results that are not stored yet."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from tests import make
from webhooks.delivery import engine, retry
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim
from webhooks.delivery.engine import NextPoll, Poll, Window
from webhooks.delivery.record import Stored

WEBHOOK: Any = SimpleNamespace(id="WH-1", account_id="VA-1")


def claim(pk: int, generation: int = 0) -> Claim:
    return Claim(pk, uuid.uuid4(), 1, False, make.AT, WEBHOOK, generation=generation)


def test_every_claim_of_a_poll_starts_though_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine.Engine()
    one._window.claims.extend([claim(1), claim(2)])
    started: list[int] = []
    outcomes: list[str] = []
    held: set[int] = set()

    async def run(self: InFlight, *args: Any) -> None:
        started.append(self.claim.delivery_id)
        await asyncio.Event().wait()

    async def begin() -> None:
        one._next, one._transport = NextPoll(), None  # type: ignore[assignment]
        monkeypatch.setattr(engine, "InFlight", start)
        for _ in range(2):
            one._begin(one._window.claims[0])
            one._window.claims.popleft()
        await asyncio.sleep(0)
        outcomes.extend(each.outcome for each in one._window.results.values())
        held.update(each.delivery_id for each in one._window.all_claims())

    def start(claim: Claim) -> InFlight:
        if claim.delivery_id == 1:
            raise RuntimeError("a defect")
        return InFlight(claim)

    monkeypatch.setattr(InFlight, "run", run)
    asyncio.run(begin())
    assert started == [2]
    assert (outcomes, held) == ([retry.FAILURE], {1, 2})


def test_result_that_fails_alone_is_moved_behind_others() -> None:
    window = Window()
    results = [AttemptResult(claim(pk), retry.SUCCESS, 1) for pk in (1, 2, 3)]
    window.results.update({each.claim.key: each for each in results})
    first, second, third = window.results
    window.note_stored(
        Poll(stored={second: Stored.SETTLED, first: Stored.KEPT}, failed_alone=[first])
    )
    assert list(window.results) == [third, first] and window.retries == {first}


def test_claims_of_replaced_data_are_abandoned() -> None:
    window = Window()
    window.claims.extend([claim(1), claim(2, generation=5)])
    window.abandon_others(5)
    assert [each.delivery_id for each in window.claims] == [2]
