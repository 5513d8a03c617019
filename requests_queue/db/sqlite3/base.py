"""Django's backend for SQLite, with two differences: turns, and cursors that close.

SQLite's own wait for the write lock asks again after pauses of up to 100 ms, and others come first
meanwhile: while the file is written most of the time, a thread waits for seconds. So the threads of
a process begin their transactions in the order in which they ask, but for that of the delivery
engine, which comes first: it stores many results at once, and slots for requests wait for it.

Python's sqlite3 resets a failed statement once more when its cursor is finalized, which waits while
another thread uses the same connection. Django leaves the cursor of a failed BEGIN in a cycle with
the error, so any thread may finalize it, even one that holds the write lock that the connection's
own thread is waiting for. So a cursor is closed when a statement fails.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import defaultdict, deque
from typing import Any

from django.db.backends.sqlite3 import base


class Turns:
    """The threads of this process that write to a file, one after the other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout: float) -> bool:
        """Wait for a turn; return False if it does not come within `timeout` seconds."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            if getattr(_thread, "comes_first", False):
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._guard:
            # Race: it may have come since.
            if turn not in self._waiting:
                return True
            self._waiting.remove(turn)
            return False

    def give(self) -> None:
        """End a turn: the next thread has it at once."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


_thread = threading.local()
# By file. A forked process has none of the threads that wait.
_turns: defaultdict[str, Turns] = defaultdict(Turns)
os.register_at_fork(after_in_child=_turns.clear)


def come_first() -> None:
    """Let this thread write before those that wait: it stores what many requests have done."""
    _thread.comes_first = True


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
        self._turns, self._timeout = _turns[str(database)], timeout
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
