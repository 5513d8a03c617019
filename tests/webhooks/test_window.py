"""What an engine holds: claims, attempts in flight, and results that are not stored yet."""

from __future__ import annotations

import threading
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError

from requests_queue.heartbeats import Problems
from tests import make
from webhooks import states
from webhooks.delivery import engine
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim
from webhooks.delivery.engine import Key, Poll, Poller, Window
from webhooks.delivery.record import Flush, Stored

WEBHOOK: Any = SimpleNamespace(id="WH-1", account_id="VA-1")


def claim(pk: int, generation: int = 0) -> Claim:
    return Claim(pk, uuid.uuid4(), 1, False, make.AT, WEBHOOK, generation=generation)


def test_claims_of_replaced_data_are_abandoned() -> None:
    window = Window()
    window.claims.extend([claim(1), claim(2, generation=5)])
    window.abandon_others(5)
    assert [each.delivery_id for each in window.claims] == [2]


def test_claim_whose_request_ends_while_all_are_listed_is_one_of_them() -> None:
    ending = claim(1)

    class Listed(dict[Key, Any]):
        """The request ends right after one of the two was listed."""

        def values(self) -> Any:
            listed = list(super().values())
            if window.in_flight.pop(ending.key, None):
                window.results[ending.key] = AttemptResult(ending, states.SUCCESS, 1)
            return listed

    window = Window(in_flight=Listed({ending.key: InFlight(ending)}), results=Listed())
    assert window.all_claims() == [ending, ending]
    assert window.all_claims() == [ending]


def test_result_that_fails_alone_is_tried_behind_others(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[int]] = []

    def fail_first(results: list[AttemptResult], **more: Any) -> Flush:
        tried.append([each.claim.delivery_id for each in results])
        return Flush([Stored.KEPT] * len(results), DatabaseError("one row"), failed_alone=[0])

    monkeypatch.setattr(engine, "flush", fail_first)
    monkeypatch.setattr(engine, "TICK", 0.0)
    poller = Poller(Window(), Problems(), 10, threading.Event())
    results = {
        each.key: AttemptResult(each, states.SUCCESS, 1) for each in (claim(1), claim(2), claim(3))
    }
    for _ in range(4):
        poller._store(Poll(results=results))
    assert tried == [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]
