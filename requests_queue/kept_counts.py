"""Counts that SQLite need not repeat: kept until anything in the database has changed.

Every page of a list says how many rows the list has, and SQLite reads an entry of an index for
each: with 60,000 that takes a third of a page's CPU time, and a client that reads a long list asks
for it on each page. Of the requests, triggers keep most numbers (`queues.fulfillment.counts`).
PostgreSQL has nothing that says whether anything has changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from django.db import connection, connections

MAX_COUNTS = 500


class _Kept:
    """The counts of one connection of SQLite, as long as its database doesn't change."""

    def __init__(self) -> None:
        self._version: tuple[Any, int, int] | None = None
        self._counts: dict[Hashable, int] = {}

    def of(self, version: tuple[Any, int, int]) -> dict[Hashable, int]:
        """Return the counts that are true at this version."""
        if version != self._version or len(self._counts) >= MAX_COUNTS:
            self._version, self._counts = version, {}
        return self._counts


def count(statement: str, params: tuple[Any, ...]) -> int:
    """Return the number that a statement selects, of this moment."""
    if connection.vendor != "sqlite" or _is_in_transaction():
        return _count(statement, params)
    # Before the count: if another connection commits in between, it is counted again.
    kept = _kept().of(_version())
    key = statement, params
    if key not in kept:
        kept[key] = _count(statement, params)
    return kept[key]


def _is_in_transaction() -> bool:
    """Return whether what this connection has changed may be rolled back: no version shows that."""
    connection.ensure_connection()
    return bool(connection.connection.in_transaction)


def _version() -> tuple[Any, int, int]:
    """Return what changes with each change: of the connection itself, and of any other one."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        [of_others] = cursor.fetchone()
    own = connection.connection
    return own, of_others, own.total_changes


def _kept() -> _Kept:
    # Not of `connection`, which stands for that of any thread.
    kept: _Kept = connections[connection.alias].__dict__.setdefault("kept_counts", _Kept())
    return kept


def _count(statement: str, params: tuple[Any, ...]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        [number] = cursor.fetchone()
    return int(number)
