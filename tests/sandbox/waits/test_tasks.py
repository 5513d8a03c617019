"""Waits for tasks of extensions, and what is unsettled while they are processed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from extensions import messages, schedules
from extensions.models import Instance, Schedule, Task
from requests_queue import clock
from sandbox.clock import settling
from sandbox.waits.task_conditions import RESULTS
from tests import make
from tests.api import Caller
from tests.engines import move_clock
from tests.sandbox.calling import catalog, client
from tests.sandbox.task_runner import PURCHASE, Runner, runner
from tests.sandbox.waits.test_waits import in_background, refused, satisfied, wait

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(catalog: make.Catalog) -> Runner:
    return runner(catalog.vendor)


def unsettled() -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in settling.waiting_for(clock.now(), settle=0)]


def test_results_are_those_of_runners() -> None:
    assert {*RESULTS} == {*messages.RESULTS, "lost"}


def test_task_is_true_once_it_has_ended_so(
    client: Caller, catalog: make.Catalog, running: Runner
) -> None:
    pk = make.order(catalog).pk
    begun = in_background(client, {"task": {"object": pk, "type": PURCHASE}})
    [task] = running.claim()
    unmet = refused(client, {"task": {"object": pk}}, timeout=0)
    assert unmet["reasons"][0].startswith(f"task {task.shown_id} ({PURCHASE}) was sent at ")
    assert [each["kind"] for each in unmet["unsettled"]] == ["processing"]
    running.end(task)
    [entry] = begun.result().json["evidence"]
    assert (entry["object"], entry["data"]["result"]) == (pk, "success")
    unmet = refused(client, {"task": {"object": pk, "result": "fail"}}, timeout=0)
    assert unmet["near_misses"][0]["differs"] == [
        {"field": "result", "expected": "fail", "actual": "success"}
    ]


def test_wait_skips_to_the_next_due_task(
    client: Caller, catalog: make.Catalog, running: Runner
) -> None:
    pk = make.order(catalog).pk
    running.end(running.claim()[0], "reschedule", countdown=3600)
    due = Task.objects.get().due_at
    satisfied(client, {"rescheduled": {"object": pk}})
    begun = in_background(client, {"task": {"object": pk}}, skip=True)
    tasks: list[Task] = []
    while not tasks:
        tasks = running.claim()
    running.end(tasks[0])
    assert begun.result().status == 200
    assert due and due <= clock.now() < due + timedelta(minutes=1)


@pytest.mark.parametrize("about", ["product", "schedule", "installation"])
def test_task_may_be_about_what_has_no_queue(
    client: Caller, catalog: make.Catalog, running: Runner, about: str
) -> None:
    schedule = Schedule.objects.create(
        environment=running.environment,
        name="Daily",
        method="daily",
        trigger={"type": "onetime", "date": "2030-01-01T00:00:00+00:00"},
        created_at=clock.now(),
    )
    ids = {
        "product": catalog.product.pk,
        "schedule": schedule.shown_id,
        "installation": running.environment.installations.get().pk,
    }
    refused(client, {"task": {"object": ids[about]}}, timeout=0)
    unknown = ids[about][:-1] + "x"
    assert wait(client, {"task": {"object": unknown}}).status == 400


def test_sandbox_is_unsettled_while_a_task_is_due_or_processed(
    catalog: make.Catalog, running: Runner
) -> None:
    make.order(catalog)
    text = f"Task {Task.objects.get().shown_id} of an extension has not ended."
    assert unsettled() == [("processing", text)]
    [task] = running.claim()
    assert unsettled() == [("processing", text)]
    running.end(task, "reschedule", countdown=60)
    assert unsettled() == []
    move_clock(61)
    assert unsettled() == [("processing", text)]
    # It comes back, as after a restart of the gateway.
    running.disconnect()
    assert unsettled() == [("processing", text)]
    ago = datetime.now(UTC) - timedelta(seconds=settings.SIM_RUNNER_GRACE + 1)
    Instance.objects.update(lost_at=ago)
    assert unsettled() == []


def test_tasks_without_a_runner_of_their_kind_are_not_waited_for(catalog: make.Catalog) -> None:
    other = runner(catalog.vendor, "interactive")
    make.order(catalog)
    assert unsettled() == [] and other.claim() == []


def test_idle_waits_for_a_slow_runner(
    client: Caller, catalog: make.Catalog, running: Runner
) -> None:
    make.order(catalog)
    [task] = running.claim()
    begun = in_background(client, {"idle": True}, skip=True)
    moved: Any = client.post("/sandbox/clock/run-until-idle", {"patience": 0.1})
    assert moved.status in (200, 409)
    assert not begun.ended.is_set()
    running.end(task)
    assert begun.result().status == 200


def test_wait_skips_to_the_next_call_of_a_schedule(
    client: Caller, catalog: make.Catalog, running: Runner
) -> None:
    at = clock.now() + timedelta(hours=2)
    row = Schedule.objects.create(
        environment=running.environment,
        name="Once",
        method="once",
        trigger={"type": "onetime", "date": at.isoformat()},
        created_at=clock.now(),
    )
    schedules.set_enabled(row, True)
    until = {"task": {"object": row.shown_id}}
    begun = in_background(client, until, skip=True, within="3h")
    tasks: list[Task] = []
    while not tasks:
        tasks = running.claim()
    running.end(tasks[0])
    assert begun.result().status == 200
