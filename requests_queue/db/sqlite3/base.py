"""Django's backend for SQLite, with two differences: turns, and cursors that close.

Threads take turns to write (`requests_queue.db.turns`).

Python's sqlite3 resets a failed statement once more when its cursor is finalized, which waits while
another thread uses the same connection. Django leaves the cursor of a failed BEGIN in a cycle with
the error, so any thread may finalize it, even one that holds the write lock that the connection's
own thread is waiting for. So a cursor is closed when a statement fails.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db.backends.sqlite3 import base

from requests_queue.db import turns


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to an SQLite database."""

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "factory": Connection}

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)


class Connection(sqlite3.Connection):
    """A connection that has a turn while it is in a transaction."""

    def __init__(self, database: Any, timeout: float = 5.0, **options: Any) -> None:
        super().__init__(database, timeout, **options)
        self._turns, self._timeout = turns.of_file(str(database)), timeout
        self._has_turn = False

    def limit_waits(self, seconds: float) -> None:
        """Let transactions wait so many seconds for their turn, and for other processes."""
        self._timeout = seconds
        self.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    def take_turn(self) -> None:
        """Wait for a turn; raises OperationalError as SQLite does after the timeout."""
        if not self._turns.take(self._timeout):
            raise sqlite3.OperationalError("database is locked")
        self._has_turn = True

    def give_turn(self) -> None:
        """End the turn, unless the transaction goes on."""
        if self._has_turn and not self.in_transaction:
            self._has_turn = False
            self._turns.give()

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self.give_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.give_turn()

    def close(self) -> None:
        super().close()
        if self._has_turn:
            self._has_turn = False
            self._turns.give()


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that takes a turn to begin a transaction, and that a failed statement closes."""

    connection: Connection

    def execute(self, query: str, params: Any = None) -> Any:
        begins = query.startswith("BEGIN")
        if begins:
            self.connection.take_turn()
        try:
            return super().execute(query, params)
        except sqlite3.Error:
            self.close()
            raise
        finally:
            if begins:
                self.connection.give_turn()
