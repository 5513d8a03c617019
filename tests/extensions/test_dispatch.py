"""Claims and results of tasks, and what lost runners leave."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from extensions import actions, dispatch
from extensions.messages import Result
from extensions.models import NEW, PROCESSING, RETRYING, Environment, Instance, Run, Task
from requests_queue import clock
from tests import make
from tests.background import concurrently
from tests.engines import move_clock
from tests.extensions.runner import PURCHASE
from tests.pruned import prune_all, small_steps

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def instance(environment: Environment) -> Instance:
    """A connected runner of background tasks."""
    return _connected(environment)


def _connected(environment: Environment, uid: str = "one", kind: str = "background") -> Instance:
    row = actions.instance(environment, uid, kind)
    assert dispatch.connect(row, uuid.uuid4(), "43.1")
    row.refresh_from_db()
    return row


def _tasks(environment: Environment, count: int = 1, **more: Any) -> list[Task]:
    fields = {
        "event_type": PURCHASE,
        "category": "background",
        "status": NEW,
        "created_at": clock.now(),
        **more,
    }
    installation = environment.installations.get()
    return [
        Task.objects.create(
            environment=environment, installation=installation, object_id=f"PR-{n}", **fields
        )
        for n in range(count)
    ]


def _record(instance: Instance, task: Task, result: str, **more: Any) -> Task:
    dispatch.record(instance, [Result(task.pk, result, **more)])
    task.refresh_from_db()
    return task


def _lose(instance: Instance, seconds: float) -> None:
    assert instance.connection
    dispatch.disconnect(instance, instance.connection)
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    Instance.objects.filter(pk=instance.pk).update(lost_at=at)
    dispatch.hand_back_lost([])


@pytest.mark.parametrize(
    ("result", "status", "why"),
    [("success", "succeeded", ""), ("skip", "skipped", ""), ("fail", "failed", "")],
)
def test_result_ends_the_task(
    environment: Environment, instance: Instance, result: str, status: str, why: str
) -> None:
    [task] = _tasks(environment)
    [claimed] = dispatch.claim(instance, 10)
    assert claimed == task and claimed.status == PROCESSING and claimed.sent == 1
    _record(instance, task, result, message="Because.", runtime=1.5, data={"not": "kept"})
    assert (task.status, task.output, task.runtime_total) == (status, "Because.", 1.5)
    assert task.finished_at and task.due_at is None and task.response is None
    [run] = task.runs.all()
    assert (run.number, run.result, run.message, run.why) == (1, result, "Because.", why)
    # A second one is too late.
    assert _record(instance, task, "retry").status == status
    assert dispatch.claim(instance, 10) == []


def test_rescheduled_task_is_sent_after_its_countdown(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    for number in (1, 2):
        assert dispatch.claim(instance, 10) == [task]
        _record(instance, task, "reschedule", countdown=3600)
        assert (task.status, task.rescheduled_count) == ("rescheduled", number)
        assert dispatch.next_due(clock.now()) == task.due_at
        move_clock(3590)
        assert dispatch.claim(instance, 10) == []
        move_clock(11)
    assert dispatch.claim(instance, 10) == [task]


def test_retries_wait_longer_each_time_until_the_task_fails(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    pauses = []
    while dispatch.claim(instance, 10):
        now = clock.now()
        _record(instance, task, "retry", message="Traceback")
        if task.due_at:
            pauses.append((task.due_at - now).total_seconds())
            move_clock(pauses[-1] + 1)
    # As a webhook's.
    assert [round(each, -1) for each in pauses] == [
        *(300 * 2**n for n in range(7)),
        21600,
        21600,
    ]
    assert (task.status, task.retry_count) == ("failed", 10)
    last = task.runs.last()
    assert last and "10 results in a row" in last.why


def test_reschedule_begins_the_retries_anew(environment: Environment, instance: Instance) -> None:
    [task] = _tasks(environment)
    for result in ("retry", "retry", "reschedule", "retry"):
        dispatch.claim(instance, 10)
        _record(instance, task, result, countdown=30)
        move_clock(86400)
    assert (task.retries, task.retry_count, task.rescheduled_count) == (1, 3, 1)


def test_countdown_of_a_retry_counts_if_it_is_longer(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    dispatch.claim(instance, 10)
    now = clock.now()
    _record(instance, task, "retry", countdown=7200)
    assert task.due_at and task.due_at >= now + timedelta(seconds=7200)


def test_connection_gets_tasks_of_its_kind_the_oldest_first(
    environment: Environment, instance: Instance
) -> None:
    interactive = _connected(environment, kind="interactive")
    background = _tasks(environment, 3)
    scheduled = _tasks(environment, event_type="scheduled_execution", category="scheduled")
    waited_for = _tasks(environment, event_type="product_action_execution", category="interactive")
    assert dispatch.claim(interactive, 10) == waited_for
    assert dispatch.claim(instance, 2) == background[:2]
    assert dispatch.claim(instance, 10) == [background[2], *scheduled]


def test_claims_at_the_same_time_give_each_task_once(environment: Environment) -> None:
    tasks = _tasks(environment, 60)
    instances = [_connected(environment, uid) for uid in ("one", "two")]

    def claim(instance: Instance) -> list[int]:
        found: list[int] = []
        while rows := dispatch.claim(instance, 7):
            found += [row.pk for row in rows]
        return found

    one, two = concurrently(*(partial(claim, each) for each in instances))
    found = [*one, *two]
    assert sorted(found) == [task.pk for task in tasks]
    assert Run.objects.count() == 60


def test_lost_runner_keeps_its_tasks_for_a_while(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    dispatch.claim(instance, 10)
    _lose(instance, settings.SIM_RUNNER_GRACE - 5)
    # It connects again, and its result counts.
    assert _record(_connected(environment), task, "success").status == "succeeded"


def test_tasks_of_a_lost_runner_are_handed_back(
    environment: Environment, instance: Instance
) -> None:
    tasks = _tasks(environment, 200)
    dispatch.claim(instance, 200)
    dispatch.record(instance, [Result(task.pk, "success") for task in tasks[:70]])
    _lose(instance, settings.SIM_RUNNER_GRACE + 1)
    rows = Task.objects.filter(status=RETRYING, due_at=None, retries=0, instance=None)
    assert list(rows.order_by("pk")) == tasks[70:]
    assert set(Run.objects.filter(result="lost").values_list("task", flat=True)) == {
        task.pk for task in tasks[70:]
    }
    other = _connected(environment, "two")
    assert dispatch.claim(other, 500) == tasks[70:]
    # Results of the first one come too late, and of those of the second none is missing.
    assert _record(instance, tasks[70], "fail").status == PROCESSING
    dispatch.record(other, [Result(task.pk, "success") for task in tasks[70:]])
    assert not Task.objects.exclude(status="succeeded").exists()


def test_later_connection_of_an_instance_keeps_its_tasks(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    dispatch.claim(instance, 10)
    before = instance.connection
    again = _connected(environment)
    assert before
    # The end of the earlier one doesn't count.
    dispatch.disconnect(again, before)
    assert dispatch.is_connected(again, again.connection or before)
    assert not dispatch.is_connected(again, before)
    dispatch.lose_others([again.connection or before])
    dispatch.hand_back(again)
    task.refresh_from_db()
    assert task.status == PROCESSING
    # After a restart, no connection is known.
    dispatch.lose_others([])
    again.refresh_from_db()
    assert again.connection is None and again.lost_at


def test_run_is_handed_back_unless_the_task_was_sent_again(
    environment: Environment, instance: Instance
) -> None:
    one, two = _tasks(environment, 2)
    dispatch.claim(instance, 10)
    runs = dispatch.runs_of(instance)
    assert runs == [(one.pk, 1, "background"), (two.pk, 1, "background")]
    _record(instance, two, "reschedule")
    move_clock(2)
    assert dispatch.claim(instance, 10) == [two]
    dispatch.hand_back_runs(instance, {one.pk: 1, two.pk: 1})
    statuses = Task.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == [RETRYING, PROCESSING]


def test_ended_task_is_sent_again_on_demand(environment: Environment, instance: Instance) -> None:
    [task] = _tasks(environment)
    assert not dispatch.resubmit(task)
    dispatch.claim(instance, 10)
    assert not dispatch.resubmit(task)
    _record(instance, task, "fail", message="Broken.")
    assert dispatch.resubmit(task) and not dispatch.resubmit(task)
    [claimed] = dispatch.claim(instance, 10)
    assert (claimed.sent, claimed.output, claimed.finished_at) == (2, "", None)


def test_busy_while_a_connected_runner_has_tasks(
    environment: Environment, instance: Instance
) -> None:
    [task] = _tasks(environment)
    label = {f"task:{task.shown_id}"}
    assert dispatch.busy(clock.now()) == label
    dispatch.claim(instance, 10)
    assert dispatch.busy(clock.now()) == label
    _record(instance, task, "reschedule", countdown=60)
    assert dispatch.busy(clock.now()) == set()
    assert dispatch.busy(clock.now() + timedelta(seconds=61)) == label
    # It comes back, or has not in time.
    _lose(instance, 0)
    assert dispatch.busy(clock.now() + timedelta(seconds=61)) == label
    _lose(instance, settings.SIM_RUNNER_GRACE + 1)
    assert dispatch.busy(clock.now() + timedelta(seconds=61)) == set()


def test_task_of_a_rolled_back_claim_waits(environment: Environment, instance: Instance) -> None:
    [task] = _tasks(environment)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        assert dispatch.claim(instance, 1) == [task]
        raise ZeroDivisionError
    assert dispatch.claim(instance, 1) == [task] and Run.objects.count() == 1


def test_orders_are_tasks_until_their_results(catalog: make.Catalog, instance: Instance) -> None:
    rows = [make.order(catalog).pk for _ in range(3)]
    assert [task.object_id for task in dispatch.claim(instance, 10)] == rows


def test_old_tasks_runs_and_runners_are_pruned(
    environment: Environment,
    instance: Instance,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_steps(monkeypatch, 2)
    settings.SIM_KEEP_DAYS = 30
    ended, waiting, processed, *more = _tasks(environment, 7)
    dispatch.claim(instance, 10)
    for task in (ended, *more):
        _record(instance, task, "success")
    _record(instance, waiting, "reschedule", countdown=31 * 86400)
    _lose(instance, settings.SIM_RUNNER_GRACE + 1)
    other = _connected(environment, "two")
    assert dispatch.claim(other, 10) == [processed]
    move_clock(29 * 86400)
    assert not prune_all()["tasks of extensions"] and Task.objects.count() == 7
    move_clock(86401)
    _record(other, processed, "retry")
    dispatch.disconnect(other, other.connection or uuid.uuid4())
    expected = {"tasks of extensions": 5, "runs of tasks": 1}
    assert {**prune_all(dry_run=True)}.items() >= expected.items()
    assert {**prune_all()}.items() >= expected.items()
    # Tasks that haven't ended, each with its last run.
    assert set(Task.objects.all()) == {waiting, processed}
    assert [(run.task, run.number) for run in Run.objects.all()] == [(waiting, 1), (processed, 2)]
    # Real time.
    assert Instance.objects.count() == 2
    Instance.objects.filter(uid="one").update(lost_at=make.AT - timedelta(days=365))
    assert prune_all()["runners of extensions"] == 1
    assert Instance.objects.get() == other
