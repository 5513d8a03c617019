"""Ids of transactions, by which entries are ordered.

What one in progress writes may come before what is committed already.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, models
from django.db.models import Expression

# Transactions of other databases of the server are left out: they write no entries, and may last
# for hours. One that has ended meanwhile, or whose database is unknown, counts.
_OLDEST = """
    WITH present AS (SELECT pg_current_snapshot() AS snapshot)
    SELECT LEAST(
        pg_snapshot_xmax(snapshot)::text::bigint,
        pg_current_xact_id_if_assigned()::text::bigint,
        (
            SELECT MIN(xid::text::bigint) FROM pg_snapshot_xip(snapshot) AS xid
            WHERE xid::text::bigint & 4294967295 NOT IN (
                SELECT backend_xid::text::bigint FROM pg_stat_activity
                WHERE datname <> current_database() AND backend_xid IS NOT NULL
            )
        )
    ) FROM present
"""


class TransactionId(Expression):
    """The id of the current transaction on PostgreSQL, 0 on SQLite, which has one writer."""

    output_field = models.BigIntegerField()
    # It may be the default of a column.
    allowed_default = True

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[()]]:
        if connection.vendor == "postgresql":
            return "(pg_current_xact_id()::text::bigint)", ()
        return "0", ()


def oldest_in_progress() -> int | None:
    """Return the oldest transaction that may still write entries; None on SQLite."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        oldest: int = cursor.fetchone()[0]
    return oldest
