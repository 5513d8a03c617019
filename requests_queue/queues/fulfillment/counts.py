"""Numbers of requests by party, product and status, which SQLite keeps up to date by itself.

Each page of a list says how many rows the list has, and handlers read the list of pending requests
again after each change. To count 60,000 of them takes SQLite half as long as all else of the page.
So triggers add and subtract in a table with a row per combination, as they would for an index: no
code of ours writes it, and no snapshot copies it. PostgreSQL has no such table: there,
transactions that change requests of the same product would wait for each other.

A migration that makes the table of requests anew (on SQLite, one that alters a column) drops its
triggers, and has to call `create` again: `tests/runtime/test_new_database.py` compares them.
"""

from __future__ import annotations

import re
from typing import Any

from django.db import connection

_TABLE, _NUMBERS = "fulfillment_request", "fulfillment_request_numbers"
_COLUMNS = ("vendor_id", "provider_id", "product_id", "status")
_NAMES = ", ".join(_COLUMNS)
_COUNT = f'SELECT COUNT(*) AS "__count" FROM "{_TABLE}"'
_ADD = (
    f"INSERT INTO {_NUMBERS} VALUES ({', '.join(f'NEW.{name}' for name in _COLUMNS)}, 1)"
    " ON CONFLICT DO UPDATE SET number = number + 1;"
)
_IS_OLD = " AND ".join(f"{name} = OLD.{name}" for name in _COLUMNS)
# Without rows of 0: those of the products of many tests would add up.
_SUBTRACT = (
    f"UPDATE {_NUMBERS} SET number = number - 1 WHERE {_IS_OLD};"
    f" DELETE FROM {_NUMBERS} WHERE {_IS_OLD} AND number = 0;"
)
_COLUMN = re.compile(rf'"{_TABLE}"\.("(?:{"|".join(_COLUMNS)})")')


def cheaper(counting: str) -> str:
    """Return a statement that adds the numbers up instead of counting requests.

    It has the same parameters and result. Where that can't be, on PostgreSQL or with conditions on
    other columns, it is the given one: all names in a statement are in double quotes, and no value
    is, since values are parameters.
    """
    counted, _, conditions = counting.partition(" WHERE ")
    if connection.vendor != "sqlite" or counted != _COUNT or '"' in _COLUMN.sub("", conditions):
        return counting
    where = _COLUMN.sub(r"\1", conditions)
    return f"SELECT COALESCE(SUM(number), 0) FROM {_NUMBERS} WHERE {where}"


def create(schema_editor: Any) -> None:
    """Create the table of numbers, count the requests, and create the triggers; on SQLite only."""
    if schema_editor.connection.vendor != "sqlite":
        return
    drop(schema_editor)
    key = ", ".join(f"{name} TEXT NOT NULL" for name in _COLUMNS)
    changed = " OR ".join(f"OLD.{name} <> NEW.{name}" for name in _COLUMNS)
    for statement in (
        f"CREATE TABLE {_NUMBERS} ({key}, number INTEGER NOT NULL, PRIMARY KEY ({_NAMES}))"
        " WITHOUT ROWID",
        f"INSERT INTO {_NUMBERS} SELECT {_NAMES}, COUNT(*) FROM {_TABLE} GROUP BY {_NAMES}",
        f"CREATE TRIGGER request_inserted AFTER INSERT ON {_TABLE} BEGIN {_ADD} END",
        f"CREATE TRIGGER request_deleted AFTER DELETE ON {_TABLE} BEGIN {_SUBTRACT} END",
        f"CREATE TRIGGER request_updated AFTER UPDATE OF {_NAMES} ON {_TABLE} WHEN {changed}"
        f" BEGIN {_SUBTRACT} {_ADD} END",
    ):
        schema_editor.execute(statement)


def drop(schema_editor: Any) -> None:
    """Drop the triggers and the table, if there are any; on SQLite only."""
    if schema_editor.connection.vendor == "sqlite":
        for event in ("inserted", "deleted", "updated"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS request_{event}")
        schema_editor.execute(f"DROP TABLE IF EXISTS {_NUMBERS}")
