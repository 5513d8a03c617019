"""SQL expressions that differ between SQLite and PostgreSQL, and parameters of raw SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

# The database's wall clock, in seconds since 1970: the same for all machines and after a reboot.
_EPOCH = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "EXTRACT(EPOCH FROM clock_timestamp())",
}
LOCK_WAIT = 0.5  # seconds for which a flush waits for rows that another transaction holds
_CLAIM_LOCK = 0x636C61696D  # "claim", for pg_advisory_xact_lock


def epoch() -> str:
    """Return the expression for the database's current time."""
    return _EPOCH[connection.vendor]


def datetime_param(value: datetime | None) -> Any:
    """Return a datetime as a parameter of raw SQL, adapted as the ORM does."""
    return connection.ops.adapt_datetimefield_value(value)


def minute_of(column: str) -> str:
    """Return the expression for the minute of a datetime column in UTC: `2026-11-25 09:41`."""
    if connection.vendor == "postgresql":
        return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    return f"substr({column}, 1, 16)"


def placeholders(values: Sequence[Any]) -> str:
    """Return `%s, %s, …` for an IN list."""
    return ", ".join(["%s"] * len(values))


def indexed_by(index: str) -> str:
    """Return the clause that makes SQLite use a partial index.

    Without statistics SQLite prefers the index of all deliveries of a webhook, and reads its
    whole history. PostgreSQL has statistics and no such clause.
    """
    return f"INDEXED BY {index}" if connection.vendor == "sqlite" else ""


def skip_locked(strength: str = "NO KEY UPDATE") -> str:
    """Return the clause that locks rows, and skips those that another transaction holds.

    `UPDATE` also skips rows to which another transaction is inserting a reference.
    """
    return f"FOR {strength} SKIP LOCKED" if connection.vendor == "postgresql" else ""


def lock_claims() -> None:
    """Block all other claims until commit; on SQLite a write transaction does so already."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CLAIM_LOCK])


def limit_lock_wait() -> None:
    """Limit waits for locked rows to LOCK_WAIT seconds until commit; then OperationalError.

    SQLite has one lock for the whole file, with the timeout of its connection.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {round(LOCK_WAIT * 1000)}")


def values_list(rows: Iterable[Sequence[Any]], types: Sequence[str]) -> tuple[str, list[Any]]:
    """Return a VALUES list and its parameters; `types` are PostgreSQL's, which needs casts."""
    cast = connection.vendor == "postgresql"
    row_marks = ", ".join(f"CAST(%s AS {t})" if cast else "%s" for t in types)
    rows = list(rows)
    return ", ".join([f"({row_marks})"] * len(rows)), [v for row in rows for v in row]


def uuid_param(value: Any) -> Any:
    """Return a UUID as a parameter of raw SQL."""
    return value if connection.features.has_native_uuid_field else value.hex
