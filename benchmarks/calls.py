"""In a measured process: calls of Django's WSGI application, their CPU time and SQL statements."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def migrate() -> int:
    """Create the tables; return how many requests may be in flight."""
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    return int(settings.SIM_CALLS)


def analyze() -> None:
    """Do what autovacuum does when tables have grown, and write everything to the disk."""
    from django.db import connection

    statements = {
        "postgresql": ("VACUUM ANALYZE", "CHECKPOINT"),
        "sqlite": ("PRAGMA wal_checkpoint(TRUNCATE)",),
    }
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


def call(
    application: Any, method: str, path: str, key: str, query: str = "", body: bytes = b""
) -> bytes:
    """Return the body of a response; its status must be 200 or 201."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": f"ApiKey {key}",
        "HTTP_USER_AGENT": "benchmark",
        "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    status: list[str] = []
    response = application(environ, lambda text, headers, error=None: status.append(text))
    content = b"".join(response)
    response.close()
    assert status[0][:3] in ("200", "201"), f"{method} {path}?{query}: {status} {content[:300]!r}"
    return content


def cpu() -> tuple[float, float]:
    """Return the CPU seconds of this thread, and with those of its connection's server process."""
    from django.db import connection

    own = time.thread_time()
    if connection.vendor != "postgresql":
        return own, own
    connection.ensure_connection()
    try:
        # In nanoseconds; `stat` has hundredths of a second.
        schedule = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    except OSError:
        sys.exit("PostgreSQL must run on this machine: its CPU time is read from /proc.")
    return own, own + int(schedule.split()[0]) / 1e9


def spend(run: Callable[[], object], count: int = 1) -> tuple[float, float]:
    """Return the CPU seconds of one of so many calls, as `cpu` does."""
    own, both = cpu()
    for _ in range(count):
        run()
    after = cpu()
    return (after[0] - own) / count, (after[1] - both) / count


def statements(run: Callable[[], object]) -> list[tuple[str, Any]]:
    """Return the SQL statements of a call, with their parameters."""
    from django.db import connection

    sent: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        run()
    return sent


def explain(sql: str, params: Any) -> list[str]:
    """Return the steps of the plan of a statement."""
    from django.db import connection

    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if is_postgresql else 'EXPLAIN QUERY PLAN'} {sql}", params)
        return [str(row[0] if is_postgresql else row[3]) for row in cursor.fetchall()]
