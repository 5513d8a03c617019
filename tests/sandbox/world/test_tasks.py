"""Resets and restores while tasks of extensions are processed."""

from __future__ import annotations

import uuid

import pytest

from extensions import dispatch
from extensions.messages import Result
from extensions.models import PROCESSING, RETRYING, SUCCEEDED, Task
from requests_queue.catalog.models import Account
from requests_queue.db import pausing
from sandbox.timeline import timeline
from tests.api import VENDOR, Caller
from tests.background import Background
from tests.engines import until
from tests.sandbox import worlds
from tests.sandbox.task_runner import Runner, runner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(saved: worlds.Rows, vendor: Caller) -> Runner:
    """A runner of the demo data's vendor."""
    return runner(Account.objects.get(pk=VENDOR))


def test_restore_hands_back_what_was_processed(
    running: Runner, vendor: Caller, distributor: Caller
) -> None:
    worlds.purchase(distributor)
    [task] = running.claim()
    saved = worlds.ok(vendor.post("/sandbox/snapshots", {"name": "a", "patience": 0}))
    old = dispatch.claim_id(task)
    running.end(task)
    assert saved and Task.objects.get().status == SUCCEEDED
    worlds.ok(vendor.post("/sandbox/snapshots/a/restore", {"patience": 0}))
    row = Task.objects.get()
    assert (row.status, row.runs.get().result) == (RETRYING, "lost")
    assert not dispatch.is_connected(running.instance, running.token)
    entries = timeline.between(timeline.last_reset(), timeline.now())
    assert [each.data["action"] for each in entries.filter(kind="task")] == ["finished"]
    # The same runner comes back, gets the task again, and also sends what it did before.
    running.token = uuid.uuid4()
    running.connect()
    [again] = running.claim()
    dispatch.record(running.instance, [Result(again.pk, "fail", claim_id=old)])
    assert Task.objects.get().status == PROCESSING
    running.end(again)
    assert Task.objects.get().status == SUCCEEDED


def test_result_of_before_a_reset_counts_no_more(
    running: Runner, vendor: Caller, distributor: Caller
) -> None:
    worlds.purchase(distributor)
    [task] = running.claim()
    answer = worlds.ok(vendor.post("/sandbox/reset", {"patience": 0}))
    assert answer["unsettled"] == [f"{task.shown_id} is being processed."]
    assert not dispatch.is_connected(running.instance, running.token)
    running.end(task)
    assert not Task.objects.exists()


def test_reset_waits_for_a_task_that_is_processed_and_lets_no_other_begin(
    running: Runner, vendor: Caller, distributor: Caller
) -> None:
    worlds.purchase(distributor)
    [task] = running.claim()
    worlds.purchase(distributor)
    resetting = Background(lambda: Caller(vendor.key).post("/sandbox/reset", {"patience": 30}))
    until(pausing.is_draining, "the reset waits")
    assert running.claim() == []
    running.end(task)
    assert resetting.result().json["unsettled"] == []
