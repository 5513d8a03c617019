"""The metrics of the database: a fixed number of statements, each of which reads few rows.

No statement scans a table. Pending deliveries are found by the index that has only them, up to
COUNTED; the webhooks that have any by one index lookup each, up to WEBHOOKS. Times are platform
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily

from connect_sim.metrics.names import PREFIX
from requests_queue import clock, heartbeats
from requests_queue.db import sql

COUNTED = 100_000  # deliveries; a higher number is reported as this one
WEBHOOKS = 10_000  # webhooks with pending deliveries, of which the oldest is found

# PostgreSQL's planner prefers to read a whole table if most rows match.
_BY_INDEX = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")


def render() -> bytes:
    """Return the metrics in Prometheus' text format; raises django.db.Error."""
    families = list(read())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families:
    """A collector of what has been read."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def read() -> Iterator[Metric]:
    with _by_index():
        now = clock.now()
        pending, backing_off, out_of_order = _counts(now)
        oldest = _oldest_due(now)
    yield _gauge(
        "deliveries_pending", "Deliveries that are neither in flight nor finished.", pending
    )
    yield _gauge(
        "deliveries_in_backoff", "Pending deliveries whose webhook backs off.", backing_off
    )
    yield _gauge("webhooks_out_of_order", "Webhooks that are out of order.", out_of_order)
    age = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    yield _gauge(
        "delivery_oldest_due_seconds",
        "How long the oldest delivery that may start has been due; 0 without any.",
        age,
    )
    yield from _processes()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value)


def _processes() -> Iterator[Metric]:
    by_kind = heartbeats.by_kind()
    alive = GaugeMetricFamily(
        f"{PREFIX}_processes_alive", "Processes with a recent heartbeat.", labels=["kind"]
    )
    failing = GaugeMetricFamily(
        f"{PREFIX}_processes_failing", "Those of them that report a problem.", labels=["kind"]
    )
    age = GaugeMetricFamily(
        f"{PREFIX}_heartbeat_age_seconds", "Time since the last heartbeat.", labels=["kind"]
    )
    for kind in (heartbeats.WORKER, heartbeats.SCHEDULER):
        summary = by_kind.get(kind, heartbeats.Summary())
        alive.add_metric([kind], summary.alive)
        failing.add_metric([kind], summary.failing)
        if summary.age is not None:
            age.add_metric([kind], summary.age)
    yield from (alive, failing, age)


@contextmanager
def _by_index() -> Iterator[None]:
    """Make PostgreSQL use indexes inside the block; SQLite is told which ones to use."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        off = ", ".join(f"set_config('{name}', 'off', true)" for name in _BY_INDEX)
        cursor.execute(f"SELECT {off}")
        yield


def statements(now: datetime) -> dict[str, tuple[str, list[Any]]]:
    """Return the statements and their parameters, by name."""
    return {"counts": _counts_statement(now), "oldest due": _oldest_due_statement(now)}


def _counts(now: datetime) -> tuple[int, int, int]:
    with connection.cursor() as cursor:
        cursor.execute(*_counts_statement(now))
        pending, backing_off, out_of_order = cursor.fetchone()
    return pending, backing_off, out_of_order


def _counts_statement(now: datetime) -> tuple[str, list[Any]]:
    waiting, forced = sql.indexed_by("delivery_waiting"), sql.indexed_by("delivery_forced")
    statement = f"""
        SELECT
        (SELECT COUNT(*) FROM (SELECT 1 FROM webhooks_delivery {waiting}
            WHERE state = 'waiting' AND NOT forced ORDER BY webhook_id, id LIMIT %s) part)
        + (SELECT COUNT(*) FROM (SELECT 1 FROM webhooks_delivery {forced}
            WHERE state = 'waiting' AND forced ORDER BY id LIMIT %s) part),
        (SELECT COUNT(*) FROM (
            SELECT 1 FROM webhooks_webhook w {sql.indexed_by("webhook_backing_off")}
            CROSS JOIN webhooks_delivery d {waiting}
            WHERE w.active AND NOT w.out_of_order AND w.earliest_possible_trigger > %s
            AND d.webhook_id = w.id AND d.state = 'waiting' AND NOT d.forced LIMIT %s) part),
        (SELECT COUNT(*) FROM (
            SELECT 1 FROM webhooks_webhook {sql.indexed_by("webhook_out_of_order")}
            WHERE active AND out_of_order ORDER BY account_id LIMIT %s) part)
    """
    return statement, [COUNTED, COUNTED, sql.datetime_param(now), COUNTED, COUNTED]


def _oldest_due(now: datetime) -> datetime | None:
    """Return since when the oldest delivery that may start has been due.

    One that waits for the end of a backoff, for its own due date, for a request in flight of the
    same webhook, or for a user who recovers the webhook may not start.
    """
    with connection.cursor() as cursor:
        cursor.execute(*_oldest_due_statement(now))
        [value] = cursor.fetchone()
    if value is None:
        return None
    # SQLite returns text, without a time zone.
    due: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return due if due.tzinfo else due.replace(tzinfo=UTC)


def _oldest_due_statement(now: datetime) -> tuple[str, list[Any]]:
    waiting, forced = sql.indexed_by("delivery_waiting"), sql.indexed_by("delivery_forced")
    greatest = "GREATEST" if connection.vendor == "postgresql" else "MAX"
    statement = f"""
        WITH RECURSIVE pending(id) AS (
            SELECT MIN(webhook_id) FROM webhooks_delivery {waiting}
            WHERE state = 'waiting' AND NOT forced
            UNION ALL
            SELECT (SELECT MIN(d.webhook_id) FROM webhooks_delivery d {waiting}
                WHERE d.state = 'waiting' AND NOT d.forced AND d.webhook_id > pending.id)
            FROM pending WHERE pending.id IS NOT NULL
        ), listed AS (SELECT id FROM pending WHERE id IS NOT NULL LIMIT %s)
        SELECT MIN(due) FROM (
            SELECT {greatest}(d.created_at, COALESCE(d.due_at, d.created_at),
                COALESCE(w.earliest_possible_trigger, d.created_at),
                COALESCE((SELECT MAX(c.at) FROM webhooks_clearedbackoff c
                    WHERE c.webhook_id = w.id), d.created_at)) AS due
            FROM listed CROSS JOIN webhooks_webhook w CROSS JOIN webhooks_delivery d
            WHERE w.id = listed.id AND w.active AND NOT w.out_of_order
            AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
            AND d.id = (SELECT MIN(h.id) FROM webhooks_delivery h {waiting}
                WHERE h.webhook_id = w.id AND h.state = 'waiting' AND NOT h.forced
                AND (h.due_at IS NULL OR h.due_at <= %s))
            AND (SELECT COUNT(*) FROM webhooks_delivery c {sql.indexed_by("delivery_calling")}
                WHERE c.webhook_id = w.id AND c.state = 'calling' AND NOT c.forced)
                < CASE WHEN w.earliest_possible_trigger IS NULL THEN %s ELSE 1 END
            UNION ALL
            SELECT d.created_at FROM webhooks_delivery d WHERE d.id = (
                SELECT MIN(f.id) FROM webhooks_delivery f {forced}
                WHERE f.state = 'waiting' AND f.forced)
        ) candidate
    """
    moment = sql.datetime_param(now)
    return statement, [WEBHOOKS, moment, moment, settings.SIM_MAX_IN_FLIGHT]
