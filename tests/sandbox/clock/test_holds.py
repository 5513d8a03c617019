"""Holds: tokens that keep the clock from moving on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from requests_queue import clock, jobs
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Missing
from sandbox.clock import moves, settling
from sandbox.models import Hold, TimelineEntry
from sandbox.timeline import observer
from tests.api import Caller
from tests.background import concurrently

pytestmark = pytest.mark.django_db(transaction=True)


def recorded() -> list[tuple[str, str]]:
    rows = TimelineEntry.objects.filter(kind="hold").order_by("pk")
    return [(row.data["action"], row.data["id"]) for row in rows]


def expire_now() -> None:
    Hold.objects.update(expires=DatabaseTime() - 1)


def test_hold_is_taken_listed_and_released(who: Caller) -> None:
    response = who.post("/sandbox/holds", {"ttl": 30, "note": "my queue"})
    assert response.status == 201
    hold = response.json["id"]
    assert response.json == {"id": hold, "note": "my queue", "expires_in": 30}
    [row] = who.get("/sandbox/holds").json
    assert (row["id"], row["note"]) == (hold, "my queue") and 29 < row["expires_in"] <= 30
    assert who.delete(f"/sandbox/holds/{hold}").status == 204
    assert who.delete(f"/sandbox/holds/{hold}").status == 404
    assert who.get("/sandbox/holds").json == []
    assert recorded() == [("taken", hold), ("released", hold)]


def test_ids_differ_and_several_holds_count(who: Caller) -> None:
    ids = [who.post("/sandbox/holds").json["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    for left in (3, 2, 1):
        waiting = settling.waiting_for(clock.now())
        assert [each.kind for each in waiting] == ["hold"] * left
        who.delete(f"/sandbox/holds/{ids.pop()}")
    assert settling.waiting_for(clock.now()) == []


def test_expired_hold_is_removed_and_recorded_once(who: Caller) -> None:
    hold = settling.take_hold()
    expire_now()
    concurrently(*[settling.holds] * 8)
    assert not Hold.objects.exists()
    assert recorded() == [("taken", hold.id), ("expired", hold.id)]
    assert who.delete(f"/sandbox/holds/{hold.id}").status == 404


def test_expired_hold_cannot_be_released() -> None:
    hold = settling.take_hold()
    expire_now()
    with pytest.raises(Missing):
        settling.release_hold(hold.id)
    assert recorded()[-1] == ("expired", hold.id)


def test_scheduled_job_removes_expired_holds() -> None:
    settling.take_hold()
    expire_now()
    jobs.run_due_jobs(clock.now())
    assert not Hold.objects.exists()


def test_only_one_of_two_releases_succeeds() -> None:
    hold = settling.take_hold()
    outcomes = concurrently(*[lambda: settling.release_hold(hold.id)] * 4)
    assert sum(isinstance(outcome, Missing) for outcome in outcomes) == 3


def test_move_waits_for_release(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = settling.take_hold()
    seen = set()
    wait = observer.wait

    def release_then_wait(at: int, seconds: float | None = None) -> int:
        seen.add(clock.now())
        if len(recorded()) == 1:
            settling.release_hold(hold.id)
        return wait(at, seconds)

    monkeypatch.setattr(observer, "wait", release_then_wait)
    moved = moves.advance(timedelta(hours=1))
    assert seen == {moved.start}
    assert moved.unsettled == []


def test_move_goes_on_after_patience_and_names_the_hold(who: Caller) -> None:
    hold = who.post("/sandbox/holds", {"note": "forgotten"}).json["id"]
    response = who.post("/sandbox/clock/advance", {"by": "1h", "patience": 0.05})
    assert response.status == 200
    [left] = response.json["unsettled"]
    assert left["kind"] == "hold"
    assert left["text"].startswith(f"{hold} (forgotten) is held, for at most ")


def test_move_goes_on_when_hold_expires(who: Caller) -> None:
    who.post("/sandbox/holds", {"ttl": "0.2s"})
    response = who.post("/sandbox/clock/advance", {"by": "1h"})
    assert response.json["unsettled"] == []
    assert [action for action, _ in recorded()] == ["taken", "expired"]
