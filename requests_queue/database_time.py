"""The database's own wall clock: leases and signs of life are measured by it, whatever a machine
believes."""

from __future__ import annotations

from typing import Any

from django.db.models import FloatField, Func


class DatabaseTime(Func):
    """Seconds since 1970, as the database has them at this moment."""

    output_field = FloatField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return SQLite's expression."""
        return "((julianday('now') - 2440587.5) * 86400.0)", []

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return PostgreSQL's; its `now()` would stand still within a transaction."""
        return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)", []

    def get_group_by_cols(self) -> list[Any]:
        """Return no columns: groups by a clock that goes on would be one a row."""
        return []
