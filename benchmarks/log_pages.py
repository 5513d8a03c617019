"""Pages of the deliveries log: 20,000 deliveries of an account beside 100,000 of another.

Run as a module it is the measured process; `measure_log` asks it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import servers
from benchmarks.processes import Process, environment, module, running, serve, server_cpu
from benchmarks.run import Run
from benchmarks.table import Bound, Row

_OWN, _FOREIGN, _FEW = "VA-610-138", "PA-318-442", "VA-111-111"
_PAGES = {
    "the log": "",
    "page 200": "?older=*",
    "search by status": "?q=status:>=500",
    "search by object": "?q=object:PR-0000-0042",
    "search by state, range of time": "?q=state:failed+after:1d",
    "search of text": '?q=body:"code+17"',
}
# Beside the first page of an account with 100 deliveries; a page at most 100 ms.
_RATIO, _MILLISECONDS, _SAME = Bound(4), Bound(100), Bound(1)
_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class LogSizes:
    """Deliveries of both accounts, and calls of each page."""

    own: int
    foreign: int
    calls: int


QUICK = LogSizes(own=1_000, foreign=2_000, calls=5)
FULL = LogSizes(own=20_000, foreign=100_000, calls=21)


def prepare(own: int, foreign: int) -> None:
    """Fill the database; the deliveries of both accounts alternate."""
    from django.core.management import call_command
    from django.db import connection

    from requests_queue import seed
    from requests_queue.catalog.models import Account, User
    from tests import make

    call_command("migrate", verbosity=0, interactive=False)
    seed.run(lambda line: None)
    made = make.catalog("1")
    accounts = [Account.objects.get(pk=pk) for pk in (_OWN, _FOREIGN)] + [made.vendor]
    for account in accounts:
        User.objects.create(
            uid=f"UR-900-{account.pk[3:]}", username=account.pk, account=account, email=account.pk
        )
    hooks = {
        account.pk: [make.webhook(made, n=10 * n + i, account=account) for i in range(4)]
        for n, account in enumerate(accounts)
    }
    per_own = foreign // own
    owners = [_OWN if n % (per_own + 1) == 0 else _FOREIGN for n in range(own + foreign)]
    owners += [made.vendor.pk] * 100
    start = make.AT
    for first in range(0, len(owners), _CHUNK):
        _insert(first, owners[first : first + _CHUNK], hooks, start)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _insert(first: int, owners: list[str], hooks: dict[str, Any], start: Any) -> None:
    from django.db import transaction

    from webhooks.models import Attempt, Delivery, Event

    rows = list(_rows(first, owners, hooks, start))
    with transaction.atomic():
        made = Delivery.objects.bulk_create([row for row, _ in rows], batch_size=500)
        numbered = list(zip(made, [code for _, code in rows], strict=True))
        Event.objects.bulk_create(
            [
                Event(
                    webhook_id=row.webhook_id,
                    delivery=row,
                    status_to="pending",
                    at=row.created_at,
                    object_id=f"PR-{row.pk // 10000:04d}-{row.pk % 10000:04d}-0000-001",
                )
                for row, _ in numbered
            ],
            batch_size=500,
        )
        Attempt.objects.bulk_create(
            [
                Attempt(
                    webhook_id=row.webhook_id,
                    delivery=row,
                    number=1,
                    method="POST",
                    outcome="success" if code < 300 else "failure",
                    started_at=row.created_at,
                    finished_at=row.created_at,
                    duration=12,
                    url="http://127.0.0.1:9/",
                    status_code=code,
                    request_body='{"data": {}}' * 40,
                    response_body=b'{"result": "code %d"}' % (row.pk % 100),
                )
                for row, code in numbered
            ],
            batch_size=500,
        )


def _rows(
    first: int, owners: list[str], hooks: dict[str, Any], start: Any
) -> Iterator[tuple[Any, int]]:
    from webhooks.models import Delivery

    for n, owner in enumerate(owners, first):
        state = "failed" if n % 11 == 0 else "waiting" if n % 17 == 0 else "delivered"
        hook = hooks[owner][n % 4]
        at = start + timedelta(seconds=2 * n)
        row = Delivery(webhook=hook, state=state, created_at=at, attempts=1)
        yield row, 200 if state == "delivered" else 503


def measure(account: str, query: str, calls: int) -> list[float]:
    """Return milliseconds of CPU of a page, including the database server's, and the number of its
    statements."""
    client = _client(account)
    if query == "?older=*":
        from webhooks.models import Delivery

        rows = Delivery.objects.filter(webhook__account=account).order_by("-pk")
        query = f"?older={list(rows.values_list('pk', flat=True))[-100]}"
    get: Callable[[], Any] = lambda: client.get(f"/deliveries/{query}")  # noqa: E731
    get()
    spent = []
    for _ in range(calls):
        before = _cpu()
        get()
        spent.append(_cpu() - before)
    statements: list[str] = []
    from django.db import connection

    def record(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(record):
        response = get()
    assert response.status_code == 200
    return [median(spent) * 1e3, len(statements)]


def _client(account: str) -> Any:
    from django.test import Client

    from requests_queue.catalog.models import User

    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(User.objects.get(email=account))
    return client


def _cpu() -> float:
    """Return the CPU time of this process and of the database server's."""
    import time

    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql":
        return own
    connection.ensure_connection()
    return own + server_cpu(connection.connection.info.backend_pid)


def measure_log(run: Run) -> list[Row]:
    """Measure on SQLite, and on PostgreSQL if there is one."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    rows = _measure_on(folder, "SQLite", f"sqlite:///{folder}/log.sqlite3", sizes)
    with (
        run.optional("the deliveries log on PostgreSQL"),
        servers.postgres_server() as server,
        servers.database(server, "log") as database,
    ):
        rows += _measure_on(folder, "PostgreSQL", database, sizes)
    return rows


def _measure_on(folder: Path, name: str, database: str, sizes: LogSizes) -> list[Row]:
    env = environment(
        DATABASE_URL=database,
        SIM_DATA_DIR=str(folder / f"log-{name}"),
        PGOPTIONS="-c max_parallel_workers_per_gather=0",
    )
    with running(module("log_pages"), env, folder / f"log-{name}.log") as process:
        return _rows_of(f"log, {name}", process, sizes)


def _rows_of(part: str, process: Process, sizes: LogSizes) -> list[Row]:
    """Fill the database and return the rows of the table."""
    process.ask("prepare", own=sizes.own, foreign=sizes.foreign)
    few, few_statements = process.ask("measure", account=_FEW, query="", calls=sizes.calls)
    rows = []
    for name, query in _PAGES.items():
        spent, statements = process.ask("measure", account=_OWN, query=query, calls=sizes.calls)
        rows += [
            Row(part, f"{name}, CPU, ms", spent, few, "100 deliveries", _RATIO),
            Row(part, f"{name}, CPU, ms, at most", spent, None, "", _MILLISECONDS),
            Row(part, f"{name}, SQL statements", statements, few_statements, "", _SAME),
        ]
    return rows


def main() -> None:
    """Serve commands."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    from django.conf import settings

    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    serve({command.__name__: command for command in (prepare, measure)})


if __name__ == "__main__":
    main()
