"""The statements of the deliveries log: they read indexes of the account's webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.deliveries import queries
from requests_queue.db import sql
from tests import make
from tests.make import AT
from tests.planner import explain
from tests.portal.delivery_rows import attempt, delivery, ids
from tests.signed_in import vendor
from webhooks.models import Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db
BIG = ("webhooks_delivery", "webhooks_attempt", "webhooks_event")


@pytest.mark.parametrize("merged", [0, 50])
def test_newest_rows_are_counted_over_all_webhooks(
    catalog: make.Catalog, merged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_MERGED", merged)
    own, foreign = [make.webhook(catalog, n=n) for n in range(3)], make.webhook(catalog, n=9)
    rows = [
        delivery(webhook, created_at=AT + timedelta(minutes=n))
        for n, webhook in enumerate([own[0], foreign, own[1], own[0], foreign, own[0], foreign])
    ]
    newest = [row.pk for row in rows[::-1] if row.webhook != foreign]

    def first(number: int, webhooks: list[Webhook], *condition: Any) -> int:
        ids = [webhook.pk for webhook in webhooks]
        return queries.first_of_newest("webhooks_delivery", ids, number, *condition)

    assert [first(n, own) for n in range(1, 6)] == [*newest, 0]
    assert [first(n, own[:1]) for n in range(1, 5)] == [newest[0], newest[1], newest[3], 0]
    before = "AND created_at < %s", sql.datetime_param(AT + timedelta(minutes=3))
    assert [first(n, own, *before) for n in range(1, 4)] == [*newest[2:], 0]
    assert first(1, own[2:]) == first(1, []) == 0


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize(
    "query", ["", "state:failed", "status:5xx", "object:PR-1111-2222", "after:2026-11-01"]
)
def test_statements_use_indexes(
    vendor: Client, hook: Webhook, catalog: make.Catalog, query: str, number: int
) -> None:
    for n in range(number):
        webhook = make.webhook(catalog, n=5 + n)
        attempt(delivery(webhook, "PR-1111-2222-3333-001", state="failed"), "failure")
    with CaptureQueriesContext(connection) as captured:
        assert len(ids(vendor, f"?q={query}")) == number
    statements = [each["sql"] for each in captured if any(table in each["sql"] for table in BIG)]
    assert len(statements) >= 5
    for statement in statements:
        assert scans(statement) == [], statement


def test_start_of_an_id_is_found_by_the_index_of_objects(hook: Webhook) -> None:
    delivery(hook, "PR-1111-2222-3333-001")
    with CaptureQueriesContext(connection) as captured:
        [found] = queries.events_about("PR-1111-2222")
    assert found.object_id == "PR-1111-2222-3333-001"
    [line] = [line for line in explain(captured[0]["sql"]) if "event_object_start" in line]
    assert "Scan" in line if connection.vendor == "postgresql" else line.startswith("SEARCH")


def scans(statement: str) -> list[str]:
    """Return the lines of the query plan that read a whole table of deliveries."""
    return [
        line
        for line in explain(statement)
        if (line.startswith("SCAN ") or "Seq Scan on" in line) and any(map(line.__contains__, BIG))
    ]
