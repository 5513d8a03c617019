"""Attempts of the last hour by minute, and failing webhooks, of one account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from portal.home import failing, last_hour
from portal.home.last_hour import MinuteCounts
from tests import make
from tests.make import AT
from tests.portal.delivery_rows import attempt_at
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
NOW = AT.replace(hour=9, minute=41, second=30)


def test_last_hour_has_sixty_minutes_by_outcome(catalog: make.Catalog) -> None:
    row = make.webhook(catalog)
    for outcome, age in (
        ("success", timedelta(0)),
        ("success", timedelta(seconds=10)),
        ("success", timedelta(seconds=30)),
        ("failure", timedelta(0)),
        ("unknown", timedelta(minutes=59)),
        ("failure", timedelta(minutes=60)),
    ):
        attempt_at(row, NOW - age, outcome)
    hour = last_hour.last_hour(catalog.vendor, NOW)
    assert len(hour) == 60 and sum(minute.total for minute in hour) == 5
    assert (hour[0], hour[-1]) == (
        MinuteCounts(AT.replace(hour=8, minute=42), unknown=1),
        MinuteCounts(AT.replace(hour=9, minute=41), success=3, failure=1),
    )


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's plan")
def test_last_hour_is_counted_from_the_index(catalog: make.Catalog) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN QUERY PLAN SELECT substr(a.finished_at, 1, 16) AS minute, a.outcome, COUNT(*) "
            "FROM webhooks_webhook w JOIN webhooks_attempt a ON a.webhook_id = w.id "
            "WHERE w.account_id = %s AND a.finished_at >= %s GROUP BY minute, a.outcome",
            ["VA", "2026"],
        )
        plan = " ".join(row[3] for row in cursor.fetchall())
    assert "COVERING INDEX attempt_finished (webhook_id=? AND finished_at>?)" in plan


def test_out_of_order_webhooks_come_first(catalog: make.Catalog) -> None:
    make.webhook(catalog, n=1)
    make.webhook(catalog, n=2, earliest_possible_trigger=NOW + timedelta(minutes=9), round=2)
    make.webhook(catalog, n=3, earliest_possible_trigger=NOW + timedelta(minutes=5), round=1)
    lost = make.webhook(catalog, n=4, out_of_order=True, failure_since_last_success=10)
    make.webhook(catalog, n=5, type="validator", failure_since_last_success=1)
    make.webhook(catalog, n=6, out_of_order=True, active=False)
    make.webhook(catalog, n=7, out_of_order=True, account=catalog.provider)
    for forced in (False, False, True):
        Delivery.objects.create(webhook=lost, forced=forced, created_at=NOW)
    hooks = failing.webhooks(catalog.vendor, 10, NOW)
    assert (hooks[0].webhook, hooks[0].pending) == (lost, 2)
    assert {one.webhook.pk[-1] for one in hooks} == {"2", "3", "4", "5"}
    assert [one.webhook.pk[-1] for one in hooks if one.webhook.round] == ["3", "2"]
    assert len(failing.webhooks(catalog.vendor, 2, NOW)) == 2
