"""The forecast of an extension: tasks that wait for their time, and the next calls of schedules."""

from __future__ import annotations

from datetime import timedelta

import pytest

from extensions import schedules
from extensions.models import Schedule, Task
from requests_queue import clock
from tests import make
from tests.api import Caller, caller
from tests.sandbox.calling import CheckedCaller, catalog, client
from tests.sandbox.task_runner import PURCHASE, runner

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_forecast_has_what_is_sent_next_in_order(catalog: make.Catalog, client: Caller) -> None:
    working = runner(catalog.vendor)
    path = f"/sandbox/extensions/{working.environment.extension_id}/forecast"
    assert client.get(path).json["rows"] == []
    ended, later = make.order(catalog), make.order(catalog)
    first, second = working.claim()
    working.end(first)
    working.end(second, "reschedule", countdown=7200)
    order = make.order(catalog)
    row = Schedule.objects.create(
        environment=working.environment,
        name="Daily",
        method="report",
        trigger={"type": "onetime", "date": (clock.now() + timedelta(hours=1)).isoformat()},
        created_at=clock.now(),
    )
    schedules.set_enabled(row, True)
    rows = client.get(path).json["rows"]
    assert [(each["kind"], each["type"], each["object"], each["reason"]) for each in rows] == [
        ("task", PURCHASE, order.pk, ""),
        ("schedule", "scheduled_execution", row.shown_id, "Daily calls report."),
        ("task", PURCHASE, later.pk, "Rescheduled by the extension, after 7200 s."),
    ]
    assert rows[2]["id"] == Task.objects.get(object_id=later.pk).shown_id
    assert [each["at"] for each in rows] == sorted(each["at"] for each in rows)
    assert ended.pk not in str(rows)
    # It is the vendor's.
    other = CheckedCaller(caller(catalog.provider).key)
    assert other.get(path).status == 404
