"""`python -m benchmarks.served MODULE`: run functions of a module as standard input asks for them.

`worker` and `embedded` are no modules, but run an engine: `manage.py worker`, or the parts of a
sandbox in one process, which also serves the functions of the workload. Also in the environment of
django-webhook, which has neither our packages nor those of the tests.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any


def serve(
    commands: Mapping[str, Callable[..., Any]], loop: asyncio.AbstractEventLoop | None = None
) -> None:
    """Run commands from stdin, one JSON line each, until SIGTERM or the end of the input.

    Coroutines run in the loop.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        result = commands[name](**arguments)
        if loop is not None and asyncio.iscoroutine(result):
            result = asyncio.run_coroutine_threadsafe(result, loop).result()
        print(json.dumps(result), flush=True)


def at_rate(rate: float, count: int) -> Iterator[int]:
    """Yield numbers from 0 at a fixed rate per second."""
    start = time.monotonic()
    for n in range(count):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        yield n


def count_statements(path: Path) -> None:
    """Append a byte to a file for each SQL statement of this process, in all threads.

    Includes what Django's execute wrapper does not see: COMMIT, ROLLBACK, and on PostgreSQL the
    BEGIN that psycopg sends, and statements by the driver.
    """
    import psycopg
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.sqlite3.base import SQLiteCursorWrapper

    file = path.open("ab", buffering=0)

    def counted(original: Callable[..., Any], count: Callable[[Any], int]) -> Callable[..., Any]:
        def call(subject: Any, *arguments: Any, **options: Any) -> Any:
            file.write(b"." * count(subject))
            return original(subject, *arguments, **options)

        return call

    for subject, names, count in (
        # SQLite's BEGIN goes through the cursor; psycopg sends PostgreSQL's itself.
        (SQLiteCursorWrapper, ("execute", "executemany"), lambda cursor: 1),
        (psycopg.Cursor, ("execute", "executemany"), lambda cursor: 1),
        (
            BaseDatabaseWrapper,
            ("_commit", "_rollback"),
            lambda connection: 1 + (connection.vendor == "postgresql"),
        ),
    ):
        for name in names:
            setattr(subject, name, counted(getattr(subject, name), count))


def main(name: str) -> None:
    """Serve the functions of a module, with Django if its settings are chosen, or run an engine."""
    if "BENCH_SQL_STATEMENTS" in os.environ:
        count_statements(Path(os.environ["BENCH_SQL_STATEMENTS"]))
    if name == "worker":
        from connect_sim.cli import django_commands

        return django_commands.run(["manage.py", "worker"])
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    if name == "embedded":
        from benchmarks import workload
        from connect_sim.runtime import Runtime
        from connect_sim.wsgi import application

        runtime = Runtime(application)
        runtime.start()
        try:
            return serve(vars(workload))
        finally:
            runtime.stop()
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        from django.conf import settings

        # The server process of a connection must last as long as its thread.
        settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    module = import_module(name)
    # A module may choose its event loop.
    loop = getattr(module, "new_event_loop", asyncio.new_event_loop)()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    serve(vars(module), loop)


if __name__ == "__main__":
    main(sys.argv[1])
