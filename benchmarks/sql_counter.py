"""Count the SQL statements of a process in a memory-mapped file that other processes can read.

`python -m benchmarks.sql_counter worker|embedded` runs an engine that counts: `manage.py worker`,
or the parts of a sandbox in one process. Includes what Django's execute wrapper does not see:
COMMIT, ROLLBACK, and on PostgreSQL the BEGIN that psycopg sends, health checks of connections, and
statements by the driver.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NUMBER = struct.Struct("Q")


def create(path: Path) -> Callable[[int], None]:
    """Create a counter in a file, and return the function that adds to it."""
    # Renamed when it is complete: others may read the path at any time.
    draft = path.with_suffix(".draft")
    draft.write_bytes(_NUMBER.pack(0))
    with draft.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), _NUMBER.size)
    draft.replace(path)
    lock = threading.Lock()

    def add(count: int) -> None:
        with lock:
            _NUMBER.pack_into(memory, 0, _NUMBER.unpack_from(memory)[0] + count)

    return add


def read(path: Path) -> int:
    """Return the current count."""
    return int(_NUMBER.unpack(path.read_bytes())[0])


def install(path: Path) -> None:
    """Count every statement of this process, in all threads, from now on."""
    import psycopg
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.signals import connection_created

    add = create(path)

    def counted(original: Callable[..., Any], count: Callable[[Any], int]) -> Callable[..., Any]:
        def call(subject: Any, *arguments: Any, **options: Any) -> Any:
            add(count(subject))
            return original(subject, *arguments, **options)

        return call

    # In psycopg, which also gets PostgreSQL's statements without Django's cursor.
    for name in ("execute", "executemany"):
        setattr(psycopg.Cursor, name, counted(getattr(psycopg.Cursor, name), lambda cursor: 1))
    for name in ("_commit", "_rollback"):
        original = getattr(BaseDatabaseWrapper, name)
        # The wrapper sees SQLite's BEGIN; psycopg sends PostgreSQL's itself.
        setattr(
            BaseDatabaseWrapper,
            name,
            counted(original, lambda connection: 1 + (connection.vendor == "postgresql")),
        )
    wrapper = counted(lambda execute, *arguments: execute(*arguments), lambda execute: 1)

    def on_connect(connection: Any, **kwargs: Any) -> None:
        if connection.vendor != "postgresql" and wrapper not in connection.execute_wrappers:
            connection.execute_wrappers.append(wrapper)

    connection_created.connect(on_connect, weak=False)


def main(kind: str) -> None:
    """Run an engine until SIGTERM; an embedded one serves the commands of the workload, too."""
    from connect_sim.cli import django_commands

    install(Path(os.environ["BENCH_SQL_COUNTER"]))
    if kind == "worker":
        django_commands.run(["manage.py", "worker"])
        return
    import django

    django.setup()
    from benchmarks import workload
    from benchmarks.served import serve
    from connect_sim.runtime import Runtime
    from connect_sim.wsgi import application

    runtime = Runtime(application)
    runtime.start()
    try:
        serve(vars(workload))
    finally:
        runtime.stop()


if __name__ == "__main__":
    main(sys.argv[1])
