"""The metrics of the database: their values, their number of statements, and their plans."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from connect_sim.metrics import database
from requests_queue import clock, heartbeats
from requests_queue.db import sql
from tests import make
from tests.metrics.scraping import Samples, flat, samples
from tests.webhooks.frozen import START, advance, catalog, ordered_hook  # noqa: F401  (fixtures)
from webhooks import actions, states
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("webhooks_delivery", "webhooks_webhook", "webhooks_attempt", "webhooks_event",
          "webhooks_clearedbackoff")  # fmt: skip


def read() -> Samples:
    return {
        name.removeprefix("connect_sim_"): value for name, value in flat(database.read()).items()
    }


def state() -> tuple[float, ...]:
    """Return pending, in backoff, out of order, and the age of the oldest that is due."""
    values = read()
    return (
        values["deliveries_pending"],
        values["deliveries_in_backoff"],
        values["webhooks_out_of_order"],
        values["delivery_oldest_due_seconds"],
    )


def finish(outcome: str) -> None:
    [claimed] = claim.claim(1).claims
    record.record([AttemptResult(claimed, outcome, 1)])


def test_empty_database() -> None:
    assert state() == (0, 0, 0, 0)


def test_delivery_that_nobody_starts_becomes_older(catalog: make.Catalog, hook: Webhook) -> None:
    make.order(catalog, 2)
    advance(40)
    assert state() == (2, 0, 0, 40)


def test_backoff_is_neither_due_nor_late(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    make.order(catalog, 3)
    finish(states.FAILURE)
    advance(299)
    assert state() == (3, 3, 0, 0)
    advance(31)
    # Due since the end of the backoff.
    assert state() == (3, 0, 0, 30)
    [probe] = claim.claim(10).claims
    # One at a time until it succeeds: the others may not start.
    advance(20)
    assert state() == (2, 0, 0, 0)
    record.record([AttemptResult(probe, states.SUCCESS, 1)])
    advance(5)
    assert state() == (2, 0, 0, 5)


def test_backoff_that_a_user_clears_ends_then(catalog: make.Catalog, ordered_hook: Webhook) -> None:
    finish(states.FAILURE)
    advance(100)
    actions.edit(ordered_hook.pk, catalog.vendor_user, {"data": {"a": 1}})
    advance(8)
    assert state() == (1, 0, 0, 8)


def test_out_of_order_is_counted_and_not_due(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    make.order(catalog, 2)
    finish(states.FAILURE)
    advance(60)
    assert state() == (2, 0, 1, 0)


def test_webhook_with_all_its_requests_in_flight_is_not_due(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 2
    make.order(catalog, 3)
    assert len(claim.claim(10).claims) == 2
    advance(60)
    assert state() == (1, 0, 0, 0)


def test_trigger_now_is_due_in_spite_of_a_backoff(ordered_hook: Webhook) -> None:
    finish(states.FAILURE)
    fan_out.trigger(ordered_hook)
    advance(9)
    assert state() == (2, 1, 0, 9)


def test_processes_by_kind() -> None:
    heartbeats.record(heartbeats.WORKER, now=True)
    values = read()
    assert values['processes_alive{kind="worker"}'] == 1
    assert values['processes_failing{kind="worker"}'] == 0
    assert 0 <= values['heartbeat_age_seconds{kind="worker"}'] < 20
    assert values['processes_alive{kind="scheduler"}'] == 0
    assert 'heartbeat_age_seconds{kind="scheduler"}' not in values
    heartbeats.record(heartbeats.WORKER, "The disk is full.", now=True)
    assert read()['processes_failing{kind="worker"}'] == 1
    assert "disk" not in database.render().decode()


def test_no_secret_is_exported(catalog: make.Catalog) -> None:
    canary = "canary-4711-secret"
    make.webhook(
        catalog,
        f"http://127.0.0.1:9/{canary}?key={canary}",
        label=canary,
        jwt_secret=canary * 3,
        headers={"X-Key": canary},
        data={"key": canary},
    )
    make.order(catalog)
    finish(states.FAILURE)
    text = database.render().decode()
    assert samples(text)["connect_sim_deliveries_pending"] == 1
    assert canary not in text and "WH-" not in text


# --- at size -----------------------------------------------------------------------------------


def fill(catalog: make.Catalog, pending: int, finished: int, webhooks: int) -> None:
    """Insert deliveries and attempts of many webhooks, a tenth of which back off."""
    rows = [make.webhook(catalog, n=n) for n in range(1, webhooks + 1)]
    ids = ", ".join(f"('{row.pk}', {n})" for n, row in enumerate(rows))
    backing_off = [row.pk for row in rows[::10]]
    Webhook.objects.filter(pk__in=backing_off).update(
        earliest_possible_trigger=START + timedelta(hours=1), gate_closed_at=START, round=1
    )
    with connection.cursor() as cursor:
        for state, count in (("waiting", pending), ("delivered", finished)):
            cursor.execute(
                f"""
                WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %s - 1),
                w(id, n) AS (VALUES {ids})
                INSERT INTO webhooks_delivery
                    (webhook_id, state, forced, created_at, attempts, losses)
                SELECT w.id, '{state}', %s, %s, 0, 0 FROM n JOIN w ON w.n = i %% {webhooks}
                """,
                [count, False, sql.datetime_param(START - timedelta(minutes=40))],
            )


def plan(statement: str, params: list[Any]) -> list[str]:
    """Return the steps of a plan that read one of TABLES without an index."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", params)
            steps = [row[3] for row in cursor.fetchall()]
            # Others than the subqueries of the statement are tables.
            return [
                step
                for step in steps
                if step.startswith("SCAN")
                and "INDEX" not in step
                and step.split()[1] not in ("CONSTANT", "part", "pending", "listed", "candidate")
            ]
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", params)
        [[document]] = cursor.fetchall()
    text = document if isinstance(document, str) else json.dumps(document)
    return [node for node in _nodes(json.loads(text)[0]["Plan"]) if node]


def _nodes(node: dict[str, Any]) -> list[str]:
    is_scan = node["Node Type"] in ("Seq Scan", "Bitmap Heap Scan")
    found = (
        [f"{node['Node Type']} {node['Relation Name']}"]
        if (is_scan and node.get("Relation Name") in TABLES)
        else []
    )
    return found + [each for child in node.get("Plans", ()) for each in _nodes(child)]


def test_nothing_is_scanned_among_many_rows(
    catalog: make.Catalog, analyze: Callable[[], None]
) -> None:
    with CaptureQueriesContext(connection) as empty:
        read()
    fill(catalog, pending=100_000, finished=10_000, webhooks=200)
    analyze()
    with CaptureQueriesContext(connection) as full:
        values = read()
    assert values["deliveries_pending"] == 100_000
    assert values["deliveries_in_backoff"] == 10_000
    assert values["delivery_oldest_due_seconds"] == 40 * 60
    # On PostgreSQL, BEGIN and COMMIT are among them.
    assert len(full) == len(empty) <= 7
    with database._by_index():
        for name, (statement, params) in database.statements(clock.now()).items():
            assert plan(statement, params) == [], name
    if connection.vendor == "postgresql":
        # The usual teardown would check the references to each row.
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE webhooks_delivery CASCADE")


def test_a_plan_that_scans_is_noticed(catalog: make.Catalog, analyze: Callable[[], None]) -> None:
    fill(catalog, pending=10, finished=3000, webhooks=2)
    analyze()
    assert plan("SELECT COUNT(*) FROM webhooks_delivery WHERE attempts = 7", [])


def test_numbers_are_limited(catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "COUNTED", 5)
    fill(catalog, pending=40, finished=0, webhooks=2)
    assert state()[:2] == (5, 5)
    assert Delivery.objects.filter(state="waiting").count() == 40


def test_delivery_that_waits_alone_is_due_by_its_own_date(
    catalog: make.Catalog, ordered_hook: Webhook
) -> None:
    at = clock.now() + timedelta(seconds=300)
    Delivery.objects.update(due_at=at, losses=2)
    advance(299)
    assert state() == (1, 0, 0, 0)
    make.order(catalog)
    assert state() == (2, 0, 0, 0)
    advance(8)
    assert state() == (2, 0, 0, 7)
    Webhook.objects.update(earliest_possible_trigger=at + timedelta(seconds=5))
    assert state() == (2, 0, 0, 2)
