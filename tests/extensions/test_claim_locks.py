"""A task that waits is not claimed while a transaction changes its object (PostgreSQL)."""

from __future__ import annotations

import threading

import pytest
from django.db import transaction

from extensions import actions, dispatch, fan_out
from extensions.models import PROCESSING, Environment, Task
from requests_queue.queues.transitions import Change
from tests import make
from tests.background import Background
from tests.extensions.changes import change

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def _record(*changes: Change) -> None:
    fan_out.record(changes)


@pytest.mark.parametrize("is_committed", [True, False])
def test_claim_leaves_out_the_task_of_an_object_that_is_being_changed(
    catalog: make.Catalog, environment: Environment, is_committed: bool
) -> None:
    _record(change(catalog), change(catalog, object_id="PR-2"))
    instance = actions.instance(environment, "one", "background")
    changed, release = threading.Event(), threading.Event()

    def work() -> None:
        with transaction.atomic():
            fan_out.record([change(catalog)])
            changed.set()
            release.wait(20)
            transaction.set_rollback(not is_committed)

    background = Background(work)
    assert changed.wait(20)
    # The runner would read the object as it was, and the change would have no task.
    assert [task.object_id for task in dispatch.claim(instance, 10)] == ["PR-2"]
    release.set()
    background.result()
    assert [task.object_id for task in dispatch.claim(instance, 10)] == ["PR-1"]


def test_change_during_a_claim_has_a_task_of_its_own(
    catalog: make.Catalog, environment: Environment
) -> None:
    _record(change(catalog))
    instance = actions.instance(environment, "one", "background")
    with transaction.atomic():
        [task] = dispatch.claim(instance, 10)
        background = Background(lambda: _record(change(catalog)))
        assert not background.ended.wait(0.2)
    background.result()
    statuses = list(Task.objects.order_by("pk").values_list("status", flat=True))
    assert statuses == [PROCESSING, "scheduled"] and task.pk
