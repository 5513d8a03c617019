"""Schedules: their tasks on the platform's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from extensions import actions, dispatch, schedules, triggers
from extensions.messages import Result
from extensions.models import Environment, Schedule, Task
from requests_queue import clock
from tests.api import Caller
from tests.background import concurrently

pytestmark = pytest.mark.django_db(transaction=True)


def _schedule(environment: Environment, trigger: Any = None, **more: Any) -> Schedule:
    now = clock.shown(clock.now())
    start = (now + timedelta(hours=1)).isoformat()
    checked = triggers.parse(
        trigger or {"type": "recurring", "start": start, "unit": "days", "amount": 1}
    )
    fields = {"name": "Daily", "method": "run", "created_at": now, **more}
    next_at = triggers.next_time(checked, None)
    return Schedule.objects.create(
        environment=environment, trigger=checked, next_at=next_at, **fields
    )


def _end(task: Task) -> None:
    instance = actions.instance(task.environment, "one", "background")
    assert dispatch.claim(instance, 1) == [task]
    dispatch.record(instance, [Result(task.pk, "success")])


def test_move_of_the_clock_makes_a_task_at_each_due_moment(
    environment: Environment, who: Caller
) -> None:
    row = _schedule(environment)
    assert row.next_at and schedules.next_due() == row.next_at
    first = row.next_at
    # No runner is connected, so the move doesn't wait for its task.
    moved = who.post("/sandbox/clock/advance", {"by": "2h", "settle": 0})
    assert moved.status == 200 and moved.json["stops"] >= 1
    task = Task.objects.get()
    assert (task.object_id, task.category, task.event_type) == (
        row.shown_id,
        "scheduled",
        "scheduled_execution",
    )
    row.refresh_from_db()
    assert row.next_at == first + timedelta(days=1)
    # One at a time: the second moment passes without a task, the third one has one.
    who.post("/sandbox/clock/advance", {"by": "24h", "settle": 0})
    assert Task.objects.count() == 1
    _end(task)
    who.post("/sandbox/clock/advance", {"by": "24h", "settle": 0})
    assert Task.objects.count() == 2


def test_one_time_schedule_is_due_once(environment: Environment) -> None:
    at = clock.now() + timedelta(minutes=5)
    row = _schedule(environment, {"type": "onetime", "date": at.isoformat()})
    schedules.run_due(at - timedelta(minutes=1))
    assert not Task.objects.exists()
    for _ in range(2):
        schedules.run_due(at)
    assert Task.objects.count() == 1
    row.refresh_from_db()
    assert row.next_at is None and schedules.next_due() is None


def test_disabled_schedule_is_not_due(environment: Environment) -> None:
    row = _schedule(environment)
    schedules.set_enabled(row, False)
    assert schedules.next_due() is None
    schedules.run_due(datetime(2100, 1, 1, tzinfo=UTC))
    assert not Task.objects.exists()
    schedules.set_enabled(row, True)
    assert schedules.next_due() == row.next_at


def test_moment_is_run_once_by_processes_at_the_same_time(environment: Environment) -> None:
    row = _schedule(environment)
    at = row.next_at
    assert at
    concurrently(*(lambda: schedules.run(row, at, due_at=at) for _ in range(2)))
    assert Task.objects.count() == 1


def test_trigger_now_is_refused_while_a_task_is_open(environment: Environment, who: Caller) -> None:
    row = _schedule(environment)
    path = (
        f"/devops/services/{environment.extension_id}/environments/{environment.pk}"
        f"/schedules/{row.shown_id}/trigger"
    )
    assert who.post(path).status == 200
    assert who.post(path).status == 400
    _end(Task.objects.get())
    assert who.post(path).status == 200
    row.refresh_from_db()
    assert row.next_at == schedules.next_due()
