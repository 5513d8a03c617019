"""A sandbox whose SQLite database gets no new pages while a file exists; a process of its own.

    python -m tests.chaos.full_disk sandbox

`max_page_count` belongs to a connection, so each connection sets it when the file appears or goes.
The limit can't be lower than the pages that the database has: new ones fail with SQLITE_FULL, which
is the error of a full disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.signals import connection_created

from connect_sim.cli import django_commands

# The variable with the path of the file; without it nothing is limited.
FLAG = "SIM_TEST_FULL_DISK"
_NO_LIMIT = 1_073_741_823


class _Limiter:
    """Sets the limit of one connection before a statement, when it has changed."""

    def __init__(self, flag: Path) -> None:
        self._flag = flag
        self._limited: tuple[Any, bool] = (None, False)

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        raw = context["connection"].connection
        wanted = (raw, self._flag.exists())
        if raw is not None and wanted != self._limited:
            raw.execute(f"PRAGMA max_page_count = {1 if wanted[1] else _NO_LIMIT}")
            self._limited = wanted
        return execute(sql, params, many, context)


def _limit(connection: Any, **kwargs: Any) -> None:
    if not any(isinstance(each, _Limiter) for each in connection.execute_wrappers):
        connection.execute_wrappers.append(_Limiter(Path(os.environ[FLAG])))


def main() -> None:
    """Run a management command with the limit."""
    if FLAG in os.environ:
        connection_created.connect(_limit)
    django_commands.run(["manage.py", *sys.argv[1:]])


if __name__ == "__main__":
    main()
