"""The lease: one caller at a time uses the sandbox exclusively."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Missing
from sandbox.clock.settling import Token
from sandbox.models import Lease
from sandbox.timeline import observer
from sandbox.timeline.observer import Result
from sandbox.world import gate
from sandbox.world.gate import Taker
from tests.api import Caller, refused
from tests.background import concurrently
from tests.sandbox import worlds

pytestmark = pytest.mark.django_db(transaction=True)


def expire_now() -> None:
    Lease.objects.update(expires=DatabaseTime() - 1)


def test_lease_is_taken_shown_renewed_and_released(who: Caller) -> None:
    assert who.get("/sandbox/lease").json == {"lease": None}
    taken = who.post("/sandbox/lease", {"ttl": 30, "note": "worker gw0"})
    assert taken.status == 201
    token = taken.json["id"]
    assert taken.json == {"id": token, "note": "worker gw0", "expires_in": 30}
    shown = who.get("/sandbox/lease").json["lease"]
    assert set(shown) == {"note", "expires_in"} and 29 < shown["expires_in"] <= 30
    renewed = who.put(f"/sandbox/lease/{token}", {"ttl": "2m"})
    assert (renewed.status, renewed.json["expires_in"]) == (200, 120)
    assert who.get("/sandbox/lease").json["lease"]["expires_in"] > 110
    assert who.delete(f"/sandbox/lease/{token}").status == 204
    assert who.get("/sandbox/lease").json == {"lease": None}
    for response in (who.delete(f"/sandbox/lease/{token}"), who.put(f"/sandbox/lease/{token}")):
        refused(response, 404)


def test_second_caller_is_refused_and_learns_who_has_the_lease(who: Caller) -> None:
    who.post("/sandbox/lease", {"note": "worker gw0"})
    response = who.post("/sandbox/lease", {"note": "worker gw1"})
    assert (response.status, response.json["error_code"]) == (409, "LSE_001")
    assert "worker gw0" in response.json["errors"][0]
    assert "30 s" in response.json["errors"][0]


def test_expired_lease_is_free_and_cannot_be_renewed_or_released(who: Caller) -> None:
    old = gate.take_lease()
    assert old
    expire_now()
    assert gate.current_lease() is None
    with pytest.raises(Missing):
        gate.renew_lease(old.id)
    with pytest.raises(Missing):
        gate.release_lease(old.id)
    new = gate.take_lease(note="second")
    assert new and new.id != old.id
    with pytest.raises(Missing):
        gate.release_lease(old.id)
    assert (found := gate.current_lease()) and found.note == "second"


def test_only_one_of_concurrent_callers_gets_the_lease() -> None:
    for _ in range(3):
        [taken] = filter(None, concurrently(*[gate.take_lease] * 8))
        gate.release_lease(taken.id)


def test_waiting_callers_get_the_lease_in_order() -> None:
    held = gate.take_lease()
    assert held
    order: list[str] = []

    def answer(lease: Token | None) -> Result:
        assert lease is not None
        order.append(lease.note)
        return Result(201, lease.id, b"")

    deadline = time.monotonic() + 20
    takers = [
        Taker(deadline=deadline, ttl=30, note=f"worker {number}", answer=answer)
        for number in range(3)
    ]
    for taker in takers:
        observer.add(gate.takers, taker)
    futures = [taker.future for taker in takers]
    assert not any(future.done() for future in futures)
    gate.release_lease(held.id)
    for number, future in enumerate(futures):
        result = future.result(10)
        assert order == [f"worker {n}" for n in range(number + 1)]
        gate.release_lease(result.content_type)


def test_wait_gets_a_lease_that_expires(who: Caller) -> None:
    gate.take_lease(ttl=0.1)
    response = who.post("/sandbox/lease", {"wait": 10, "note": "next"})
    assert response.status == 201


def test_lease_of_a_client_that_left_is_free_again() -> None:
    held = gate.take_lease()
    assert held
    asked = threading.Event()

    def answer(lease: Token | None) -> Result:
        asked.set()
        return Result(201, "", b"")

    left, stays = (Taker(ttl=30, note=note, answer=answer) for note in ("left", "stays"))
    observer.add(gate.takers, left)
    assert left.future.cancel()
    gate.release_lease(held.id)
    observer.add(gate.takers, stays)
    assert stays.future.result(10).status == 201
    assert asked.wait(5)
    assert (found := gate.current_lease()) and found.note == "stays"


def test_reset_keeps_the_lease_and_does_not_wait_for_callers_that_want_it(
    saved: Any, vendor: Caller
) -> None:
    lease = vendor.post("/sandbox/lease", {"note": "holder"}).json["id"]
    worlds.reset(vendor)
    assert vendor.get("/sandbox/lease").json["lease"]["note"] == "holder"
    assert vendor.delete(f"/sandbox/lease/{lease}").status == 204
    assert gate._passes({"path": "/sandbox/lease", "method": "POST"})
