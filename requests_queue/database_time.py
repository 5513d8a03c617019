"""The database's wall clock, which all machines share: for leases and heartbeats."""

from __future__ import annotations

from typing import Any

from django.db.models import FloatField, Func


class DatabaseTime(Func):
    """Unix time in seconds by the database's clock, at execution."""

    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return SQLite's expression."""
        return "((julianday('now') - 2440587.5) * 86400.0)", []

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return PostgreSQL's expression; `now()` is constant within a transaction."""
        return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)", []

    def get_group_by_cols(self) -> list[Any]:
        """Return no columns: the value differs for each row."""
        return []
