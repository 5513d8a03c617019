"""Count the SQL statements of a process in a memory-mapped file that other processes can read.

Includes what Django's execute wrapper does not see: COMMIT, ROLLBACK, and on PostgreSQL the BEGIN
that psycopg sends, health checks of connections, and statements by the driver.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NUMBER = struct.Struct("Q")


class SqlCounter:
    """A counter in a memory-mapped file."""

    def __init__(self, path: Path) -> None:
        # Renamed when it is complete: others may read the path at any time.
        draft = path.with_suffix(".draft")
        draft.write_bytes(_NUMBER.pack(0))
        with draft.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)
        draft.replace(path)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, count: int = 1) -> None:
        """Add to the counter."""
        with self._lock:
            self._count += count
            _NUMBER.pack_into(self._map, 0, self._count)


def read(path: Path) -> int:
    """Return the current count."""
    return int(_NUMBER.unpack(path.read_bytes())[0])


def install(path: Path) -> None:
    """Count every statement of this process, in all threads, from now on."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.signals import connection_created

    counter = SqlCounter(path)
    _count_in_driver(counter)

    def wrapper(execute: Callable[..., Any], *arguments: Any) -> Any:
        counter.add()
        return execute(*arguments)

    def on_connect(connection: Any, **kwargs: Any) -> None:
        if connection.vendor != "postgresql" and wrapper not in connection.execute_wrappers:
            connection.execute_wrappers.append(wrapper)

    connection_created.connect(on_connect, weak=False)
    for name in ("_commit", "_rollback"):
        original = getattr(BaseDatabaseWrapper, name)
        setattr(BaseDatabaseWrapper, name, _counted_end(original, counter))


def _count_in_driver(counter: SqlCounter) -> None:
    """Count PostgreSQL's statements in psycopg, which also gets those without Django's cursor."""
    import psycopg

    for name in ("execute", "executemany"):
        original = getattr(psycopg.Cursor, name)

        def counted(*args: Any, _original: Callable[..., Any] = original, **kwargs: Any) -> Any:
            counter.add()
            return _original(*args, **kwargs)

        setattr(psycopg.Cursor, name, counted)


def _counted_end(original: Callable[[Any], Any], counter: SqlCounter) -> Callable[[Any], Any]:
    def counted(connection: Any) -> Any:
        # The wrapper sees SQLite's BEGIN; psycopg sends PostgreSQL's itself.
        counter.add(2 if connection.vendor == "postgresql" else 1)
        return original(connection)

    return counted
