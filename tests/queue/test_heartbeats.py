"""Heartbeats: which processes are alive, their age, and the cost of writing them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock, heartbeats
from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, SCHEDULER, WORKER
from requests_queue.models import Clock, Heartbeat
from requests_queue.tasks import run_due

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "_next", {})


def sign(process: str, kind: str, age: float, since: float = 60) -> None:
    now = DatabaseTime()
    Heartbeat.objects.create(process=process, kind=kind, at=now - age, since=now - since)


def test_process_with_a_heartbeat_is_alive() -> None:
    assert heartbeats.by_kind() == {}
    heartbeats.record(WORKER)
    heard = heartbeats.by_kind()[WORKER]
    assert heard.alive == 1
    assert heard.age is not None and 0 <= heard.age < 5
    assert 0 <= heard.there_for < 5


def test_process_without_recent_heartbeat_is_not_counted() -> None:
    sign("a", WORKER, 1, since=500)
    sign("b", WORKER, EXPIRES_AFTER - 2, since=900)
    sign("c", WORKER, EXPIRES_AFTER + 2, since=9000)
    sign("scheduler", SCHEDULER, EXPIRES_AFTER + 100)
    heard = heartbeats.by_kind()
    assert heard[WORKER].alive == 2
    assert heard[WORKER].age == pytest.approx(1, abs=1)
    assert heard[WORKER].there_for == pytest.approx(900, abs=1)
    assert heard[SCHEDULER].alive == 0
    assert heard[SCHEDULER].age == pytest.approx(EXPIRES_AFTER + 100, abs=1)


def test_heartbeat_is_written_periodically_in_one_statement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def written() -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            heartbeats.record(WORKER)
        return [q["sql"] for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]

    assert len(written()) == 2  # The first heartbeat also deletes old ones.
    assert written() == []
    monkeypatch.setattr(heartbeats, "_next", dict.fromkeys(heartbeats._next, 0.0))
    assert len(written()) == 1
    assert Heartbeat.objects.count() == 1


def test_restarted_process_of_the_same_name_counts_as_new() -> None:
    heartbeats.record(WORKER)
    Heartbeat.objects.update(since=DatabaseTime() - 5000)
    heartbeats._next.clear()
    heartbeats.record(WORKER)
    assert heartbeats.by_kind()[WORKER].there_for < 60


def test_old_heartbeats_are_deleted() -> None:
    sign("old", WORKER, 4000)
    sign("not so old", WORKER, 3000)
    heartbeats.record(WORKER)
    assert set(Heartbeat.objects.values_list("process", flat=True)) >= {"not so old"}
    assert not Heartbeat.objects.filter(process="old").exists()


def test_stopping_process_deletes_its_heartbeat() -> None:
    heartbeats.record(WORKER)
    sign("another", WORKER, 1)
    heartbeats.delete(WORKER)
    assert heartbeats.by_kind()[WORKER].alive == 1


def test_heartbeats_use_real_time(settings: Any) -> None:
    settings.SANDBOX = True
    heartbeats.record(WORKER)
    real = clock.now()
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": real.replace(year=2040)})
    assert heartbeats.by_kind()[WORKER].alive == 1


def test_scheduler_task_writes_its_heartbeat() -> None:
    run_due()
    assert heartbeats.by_kind()[SCHEDULER].alive == 1
