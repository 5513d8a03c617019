"""How many SQL statements a process has run, in a file that another process may read any time.

What Django's wrapper sees, and what it doesn't: COMMIT, ROLLBACK, the BEGIN that psycopg sends by
itself, and the health check of a connection.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NUMBER = struct.Struct("Q")


class Tally:
    """The number, in the file."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(_NUMBER.pack(0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)
        self._count = 0
        self._guard = threading.Lock()

    def add(self, count: int = 1) -> None:
        """Count statements."""
        with self._guard:
            self._count += count
            _NUMBER.pack_into(self._map, 0, self._count)


def read(path: Path) -> int:
    """Return the number in the file."""
    return int(_NUMBER.unpack(path.read_bytes())[0])


def install(path: Path) -> None:
    """Count every statement of this process, in all threads, from now on."""
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.signals import connection_created

    tally = Tally(path)

    def wrapper(execute: Callable[..., Any], *arguments: Any) -> Any:
        tally.add()
        return execute(*arguments)

    def on_connect(connection: Any, **kwargs: Any) -> None:
        if wrapper not in connection.execute_wrappers:
            connection.execute_wrappers.append(wrapper)
        if connection.vendor == "postgresql" and "is_usable" not in vars(connection):
            connection.is_usable = _counted(connection.is_usable, tally)

    connection_created.connect(on_connect, weak=False)
    for name in ("_commit", "_rollback"):
        original = getattr(BaseDatabaseWrapper, name)
        setattr(BaseDatabaseWrapper, name, _counted_end(original, tally))


def _counted(original: Callable[[], Any], tally: Tally) -> Callable[[], Any]:
    def counted() -> Any:
        tally.add()
        return original()

    return counted


def _counted_end(original: Callable[[Any], Any], tally: Tally) -> Callable[[Any], Any]:
    def counted(connection: Any) -> Any:
        # Django sends SQLite's BEGIN through the wrapper; psycopg sends PostgreSQL's unseen.
        tally.add(2 if connection.vendor == "postgresql" else 1)
        return original(connection)

    return counted
