"""Plans of the database, and its statistics for tests of plans at size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest
from django.db import connection


@pytest.fixture
def analyze(db: None) -> Iterator[Callable[[], None]]:
    """Return a function that lets the planner know how many rows the tables have.

    SQLite keeps this for the connection, even after a rollback: plans of later tests would be those
    of tables at this size.
    """
    yield _analyze
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")
            if cursor.fetchone():
                cursor.execute("DELETE FROM sqlite_stat1")
                cursor.execute("ANALYZE sqlite_schema")


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def explain(statement: str) -> list[str]:
    """Return the lines of the query plan."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The tables are so small here that a scan would be the cheapest plan.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {statement}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        return [row[-1] for row in cursor.fetchall()]


def history_reads(executed: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the lines of plans on SQLite that read deliveries which have ended, too."""
    statements = [each["sql"] for each in executed if "webhooks_delivery" in each["sql"]]
    assert statements
    lines = [line for each in statements for line in explain(each)]
    # The names of the table in statements.
    scans = ("SCAN c", "SCAN d", "SCAN webhooks_delivery")
    return [line for line in lines if line in scans or "delivery_of_webhook" in line]
