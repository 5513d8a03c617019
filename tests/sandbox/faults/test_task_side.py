"""Faults of tasks, by a runner in this process."""

from __future__ import annotations

import pytest

from extensions import dispatch
from extensions.models import PROCESSING, RETRYING, Task
from extensions.receivers import send_due
from requests_queue import clock, jobs
from sandbox.models import TimelineEntry
from tests import make
from tests.api import Caller
from tests.engines import move_clock
from tests.sandbox.calling import catalog, client
from tests.sandbox.faults.conftest import Arm
from tests.sandbox.task_runner import Runner, runner

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def working(catalog: make.Catalog) -> Runner:
    return runner(catalog.vendor)


def test_lost_task_is_sent_again_after_its_lease(
    catalog: make.Catalog, working: Runner, arm: Arm
) -> None:
    fault = arm("lost_task", times=1)
    assert (fault["side"], fault["account"]) == ("task", None)
    order = make.order(catalog)
    [task] = working.claim()
    row = Task.objects.get()
    assert (task.copies, row.status) == (0, PROCESSING)
    # The clock may move on to when it is handed back.
    assert jobs.next_work(clock.now()) == row.due_at and not jobs.busy(clock.now())
    entry = TimelineEntry.objects.get(kind="fault")
    expected = (order.pk, task.shown_id, "task")
    assert (entry.object_id, entry.data["task"], entry.data["side"]) == expected
    move_clock(dispatch.LEASE + 1)
    send_due(clock.now(), signal=None)
    row.refresh_from_db()
    assert (row.status, row.due_at, row.runs.get().result) == (RETRYING, None, "lost")
    [again] = working.claim()
    assert (again.copies, again.sent) == (1, 2)


def test_other_account_and_other_kinds_are_not_concerned(
    catalog: make.Catalog, working: Runner, arm: Arm, client: Caller
) -> None:
    arm("lost_task", account=catalog.provider.pk)
    arm("duplicate_task", account=catalog.vendor.pk)
    make.order(catalog)
    [task] = working.claim()
    assert task.copies == 2
    refused = client.post("/sandbox/faults", {"kind": "lost_task", "path": "/requests"})
    assert refused.status == 400 and refused.json["errors"][0].startswith("kind: ")


def test_restart_keeps_the_task_with_a_runner_that_comes_back(
    catalog: make.Catalog, working: Runner, arm: Arm
) -> None:
    arm("restart_gateway", times=1)
    make.order(catalog)
    [task] = working.claim()
    assert task.copies == 1 and not dispatch.is_connected(working.instance, working.token)
    working.connect()
    working.end(task)
    assert Task.objects.get().runs.get().result == "success"
