"""B7: a claim out of many deliveries, beside one out of few.

Run as a module it is the measured process; `measure_claims` asks two of them in turn.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import servers
from benchmarks.processes import Process, environment, module, running, serve
from benchmarks.run import Run
from benchmarks.table import Bound, Row, in_rounds

_FLOOR, _AIM, _NONE = Bound(1.5), Bound(1.2), Bound(0)
CLAIM = 200
POSTGRESQL = "PostgreSQL"
_WEBHOOKS = 100
_INSERT = """
    INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts)
    WITH RECURSIVE numbers(n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s
    )
    SELECT 'WH-000-000-' || (100 + n %% {webhooks}), %s, %s, %s, %s FROM numbers
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Deliveries of the full table and of the empty one; rounds, and claims of each."""

    due: int
    finished: int
    few: int
    rounds: int
    claims: int


QUICK = Sizes(due=5_000, finished=15_000, few=1_000, rounds=1, claims=5)
FULL = Sizes(due=100_000, finished=300_000, few=1_000, rounds=3, claims=15)


def measure_claims(run: Run) -> list[Row]:
    """Measure on SQLite, and on PostgreSQL if there is one."""
    sizes = QUICK if run.quick else FULL
    with run.subfolder("claims") as folder:
        urls = [f"sqlite:///{folder}/{name}.sqlite3" for name in ("full", "empty")]
        rows = _measure("SQLite", folder, urls, sizes)
        with (
            run.optional("claims on PostgreSQL"),
            servers.postgres_server() as server,
            servers.database(server, "full") as full,
            servers.database(server, "empty") as empty,
        ):
            rows += _measure(POSTGRESQL, folder, [full, empty], sizes)
    return rows


def _measure(part: str, folder: Path, urls: list[str], sizes: Sizes) -> list[Row]:
    full_seconds, empty_seconds = [], []
    with (
        _process(folder, f"{part}-full", urls[0]) as full,
        _process(folder, f"{part}-empty", urls[1]) as empty,
    ):
        full.ask("prepare", due=sizes.due, finished=sizes.finished)
        empty.ask("prepare", due=sizes.few, finished=0)
        for process in (full, empty):
            process.ask("claim")
        for _ in range(sizes.rounds):
            times = [(full.ask("claim"), empty.ask("claim")) for _ in range(sizes.claims)]
            for spent, of in ((full_seconds, 0), (empty_seconds, 1)):
                spent.append(median(each[of] for each in times))
        plans = full.ask("plans")
    scans = [line for line in plans if is_scan(line)]
    print("\n".join([f"{part}, a claim:", *plans]), flush=True)
    figure = f"claim of {CLAIM} of {sizes.due:,} due, {sizes.finished:,} finished, ms"
    return [
        in_rounds(
            part,
            figure,
            full_seconds,
            empty_seconds,
            f"of {sizes.few:,} due",
            _FLOOR,
            _AIM,
            scale=1e3,
        ),
        Row(part, "sequential scans of deliveries in a claim", len(scans), bound=_NONE),
    ]


def is_scan(line: str) -> bool:
    """Return whether a line of a plan reads all deliveries, or all that are due.

    Indexes of those in flight and of forced ones are partial: only these are read.
    """
    if "Seq Scan on webhooks_delivery" in line:
        return True
    scan = re.search(r"\bSCAN (webhooks_delivery|c|d)\b(.*)", line)
    return scan is not None and not re.search(r"INDEX delivery_(calling|forced)\b", scan[2])


@contextmanager
def _process(folder: Path, name: str, url: str) -> Iterator[Process]:
    env = environment(DATABASE_URL=url, SIM_DATA_DIR=str(folder / name))
    with running(module("claims"), env, folder / f"{name}.log") as process:
        yield process


# The measured process.


def prepare(due: int, finished: int) -> None:
    """Fill the database: deliveries of 100 webhooks in turn, the finished ones first."""
    from django.core.management import call_command
    from django.db import connection

    from requests_queue import clock, sql
    from tests import make

    call_command("migrate", verbosity=0, interactive=False)
    catalog = make.catalog("1")
    for n in range(_WEBHOOKS):
        make.webhook(catalog, n=100 + n)
    now = sql.datetime_param(clock.now())
    with connection.cursor() as cursor:
        for count, state, attempts in ((finished, "delivered", 1), (due, "waiting", 0)):
            if count:
                statement = _INSERT.format(webhooks=_WEBHOOKS)
                cursor.execute(statement, [count, state, False, now, attempts])
        if connection.vendor == "postgresql":
            # As autovacuum does when a table has grown; SQLite has no equivalent.
            cursor.execute("VACUUM ANALYZE")
        # What has been written is on disk before anything is measured.
        is_postgresql = connection.vendor == "postgresql"
        cursor.execute("CHECKPOINT" if is_postgresql else "PRAGMA wal_checkpoint(TRUNCATE)")


def claim() -> float:
    """Return the seconds of a claim, as an engine with free slots makes it, and undo it."""
    start = time.perf_counter()
    claimed = _claim()
    seconds = time.perf_counter() - start
    if claimed != CLAIM:
        raise RuntimeError(f"claimed {claimed} deliveries, not {CLAIM}")
    _undo()
    return seconds


def _claim() -> int:
    from django.conf import settings

    from webhooks.delivery import claims
    from webhooks.delivery.slots import Slots

    return len(claims.claim(CLAIM, Slots(settings.SIM_CALLS)))


def _undo() -> None:
    from webhooks.models import Delivery

    rows = Delivery.objects.filter(state=Delivery.CALLING)
    rows.update(state=Delivery.WAITING, claim=None, lease=None, started_at=None)


def plans() -> list[str]:
    """Return the plans of the statements of a claim."""
    from django.db import connection

    statements: list[tuple[str, Any]] = []

    def record(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((statement, params))
        return execute(statement, params, many, context)

    with connection.execute_wrapper(record):
        _claim()
    lines = []
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        for statement, params in statements:
            if "webhooks_delivery" not in statement:
                continue
            lines.append(f"  {statement.split(maxsplit=1)[0]}")
            cursor.execute(f"{explain} {statement}", params)
            lines += [f"    {row[0] if len(row) == 1 else row[3]}" for row in cursor.fetchall()]
    _undo()
    # Some steps are repeated for each webhook.
    return list(dict.fromkeys(lines))


def main() -> None:
    """Serve commands."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    serve({command.__name__: command for command in (prepare, claim, plans)})


if __name__ == "__main__":
    main()
