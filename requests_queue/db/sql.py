"""SQL expressions that differ between SQLite and PostgreSQL, and parameters of raw SQL."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, FloatField, Func, Model
from django.db.models.expressions import RawSQL

from requests_queue.api import fast_json

# The database's wall clock, in seconds since 1970: the same for all machines and after a reboot.
# On PostgreSQL, `now()` is constant within a transaction.
_EPOCH = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)",
}


def epoch() -> str:
    """Return the expression for the database's current time."""
    return _EPOCH[connection.vendor]


class DatabaseTime(Func):
    """Unix time in seconds by the database's clock, at execution: for leases and heartbeats."""

    output_field = FloatField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
        return _EPOCH[connection.vendor], []

    def get_group_by_cols(self) -> list[Any]:
        """Return no columns: the value differs for each row."""
        return []


def fetch(statement: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
    """Run a statement and return its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall()) if cursor.description else []


def has_row(table: str, **columns: Any) -> bool:
    """Return whether a table has a row with these columns.

    For what mostly isn't there, before a query of the ORM, whose SQL takes ten times as long to
    build.
    """
    conditions = " AND ".join(f"{name} = %s" for name in columns)
    return bool(fetch(f"SELECT 1 FROM {table} WHERE {conditions} LIMIT 1", [*columns.values()]))


def datetime_param(value: datetime | None) -> Any:
    """Return a datetime as a parameter of raw SQL, adapted as the ORM does."""
    return _text(value) if value is not None and connection.vendor == "sqlite" else value


def _text(value: datetime) -> Any:
    # As Django writes it, in half of its time.
    if value.tzinfo is UTC:
        return value.isoformat(" ")[:-6]
    return connection.ops.adapt_datetimefield_value(value)


def datetime_value(value: datetime | str | None) -> datetime | None:
    """Return a datetime of raw SQL, aware.

    SQLite stores it without its time zone, UTC, and returns the text of what isn't a column.
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def minute_of(column: str) -> str:
    """Return the expression for the minute of a datetime column in UTC: `2026-11-25 09:41`."""
    if connection.vendor == "postgresql":
        return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    return f"substr({column}, 1, 16)"


def minutes_of(column: str) -> str:
    """Return the expression for the whole minutes of a datetime column since 1970.

    Cheaper than text for thousands of rows.
    """
    if connection.vendor == "postgresql":
        return f"CAST(floor(date_part('epoch', {column}) / 60) AS integer)"
    return f"CAST(strftime('%%s', {column}) AS integer) / 60"


def placeholders(values: Collection[Any]) -> str:
    """Return `%s, %s, …` for an IN list."""
    return ", ".join(["%s"] * len(values))


def indexed_by(index: str) -> str:
    """Return the clause that makes SQLite use a partial index.

    Without statistics SQLite prefers the index of all deliveries of a webhook, and reads its
    whole history. PostgreSQL has statistics and no such clause.
    """
    return f"INDEXED BY {index}" if connection.vendor == "sqlite" else ""


def skip_locked() -> str:
    """Return the clause that locks rows, and skips those that another transaction holds."""
    return "FOR NO KEY UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""


def for_update(*, skip_locked: bool = False) -> str:
    """Return the clause that locks rows as the ORM's `select_for_update` does."""
    if connection.vendor != "postgresql":
        return ""
    return "FOR UPDATE SKIP LOCKED" if skip_locked else "FOR UPDATE"


def advisory_lock(key: int) -> None:
    """Wait for the lock of that key, and hold it until commit; SQLite has only one writer."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])


def limit_lock_wait(seconds: float) -> None:
    """Limit waits for locked rows until commit; afterwards OperationalError is raised.

    SQLite has one lock for the whole file, with the timeout of its connection.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {round(seconds * 1000)}")


def column_types(model: type[Model], columns: Iterable[str] = ()) -> dict[str, str]:
    """Return the columns of a model, or some of them, and their types in the database."""
    fields = [each for each in model._meta.fields if not each.primary_key or columns]
    types = {str(each.column): each.db_type(connection) or "" for each in fields}
    return {name: types[name] for name in columns or types}


def rows_of(
    rows: Sequence[Sequence[Any]],
    columns: Mapping[str, str],
    *,
    is_joined: bool = True,
) -> tuple[str, list[Any]]:
    """Return a SELECT or VALUES that returns the rows, and its parameters.

    `columns` are names and PostgreSQL's types; values of `jsonb` are JSON texts. PostgreSQL gets
    all rows as one JSON parameter, since psycopg needs more time for thousands of placeholders
    than for everything else of a flush.
    """
    if connection.vendor != "postgresql":
        one = f"({placeholders(list(columns))})"
        return f"VALUES {', '.join([one] * len(rows))}", [v for row in rows for v in row]
    # Bytes are in Base64 in the JSON text.
    encoded = {"jsonb": ("text", "{}::jsonb"), "bytea": ("text", "decode({}, 'base64')")}
    kinds = {name: encoded.get(kind, (kind, "{}")) for name, kind in columns.items()}
    values = ", ".join(cast.format(name) for name, (_, cast) in kinds.items())
    declared = ", ".join(f"{name} {kind}" for name, (kind, _) in kinds.items())
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    source = f"SELECT {values} FROM json_to_recordset(%s::json) AS r({declared})"
    # The limit tells the planner how many there are: for a hundred, its estimate of any function,
    # it would read the whole table that they are joined with.
    limit = f" LIMIT {len(rows)}" if is_joined else ""
    return source + limit, [fast_json.encode(named).decode()]


# Rows of one INSERT on PostgreSQL: they are one text, of which psycopg makes copies.
_CHUNK = 250


def insert(table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> list[int]:
    """Insert rows into a table that numbers them, and return their ids in order.

    `columns` are those of `rows_of`.
    """
    ids: list[int] = []
    statement = f"INSERT INTO {table} ({', '.join(columns)})"
    if connection.vendor == "postgresql":
        for start in range(0, len(rows), _CHUNK):
            source, params = rows_of(rows[start : start + _CHUNK], columns, is_joined=False)
            ids += [pk for (pk,) in fetch(f"{statement} {source} RETURNING id", params)]
    elif rows:
        # One short statement for all. No other writer gets an id in between.
        with connection.cursor() as cursor:
            cursor.executemany(f"{statement} VALUES ({placeholders(columns)})", rows)
        [(last,)] = fetch("SELECT last_insert_rowid()")
        ids += range(last - len(rows) + 1, last + 1)
    return ids


def integers(values: Iterable[int]) -> str:
    """Return `1, 2, …` for an IN list of ids, `NULL` for none.

    As parameters they take longer than the rest of a large statement.
    """
    return ", ".join(map(int.__repr__, values)) or "NULL"


def ids_in(column: str, ids: Iterable[int]) -> RawSQL:
    """Return a filter of the ORM for a column, `table.column`, with one of the ids.

    Prepared as parameters of a lookup, fifty ids take as long as the rest of a statement.
    """
    return RawSQL(f"{column} IN ({integers(ids)})", [], BooleanField())


def one_of(column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, list[Any]]:
    """Return a condition for a column with one of the texts or integers, and its parameters.

    psycopg takes milliseconds for the placeholders of a thousand, and PostgreSQL to plan a list of
    them.
    """
    if not values:
        return "FALSE", []
    if connection.vendor != "postgresql":
        return f"{column} IN ({placeholders(values)})", list(values)
    if any(isinstance(value, str) for value in values):
        return f"{column} = ANY(%s::text[])", [list(values)]
    # As text: psycopg takes longer to adapt each integer.
    return f"{column} = ANY(%s::bigint[])", ["{" + ",".join(map(str, values)) + "}"]


def uuid_param(value: Any) -> Any:
    """Return a UUID as a parameter of raw SQL."""
    return value if connection.features.has_native_uuid_field else value.hex


def uuid_value(value: Any) -> uuid.UUID | None:
    """Return a UUID of raw SQL."""
    return uuid.UUID(value) if isinstance(value, str) else value
