"""Django's backend for SQLite, except that a cursor is closed when a statement fails.

Python's sqlite3 resets a failed statement once more when its cursor is finalized, which waits while
another thread uses the same connection. Django leaves the cursor of a failed BEGIN in a cycle with
the error, so any thread may finalize it, even one that holds the write lock that the connection's
own thread is waiting for.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to an SQLite database."""

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that a failed statement closes."""

    def execute(self, query: str, params: Any = None) -> Any:
        try:
            return super().execute(query, params)
        except sqlite3.Error:
            self.close()
            raise
