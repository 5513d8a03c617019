"""`python -m benchmarks`: measure, print a table, and exit with 1 where a bound is missed."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks import hanging, servers, subjects
from benchmarks.clerk import DRAIN
from benchmarks.lists.report import Lists
from benchmarks.lists.report import rows_of as rows_of_lists
from benchmarks.pipes import Broken, Process, environment, module, running
from benchmarks.report import Sizes, measure_rival, measure_subject, rows_of
from benchmarks.servers import Missing
from benchmarks.table import Row, render
from benchmarks.web.report import Web
from benchmarks.web.report import rows_of as rows_of_web

_QUICK = Sizes(each=10, rival_each=2, posts=400, seconds=3, rounds=1)
_FULL = Sizes(each=51, rival_each=10, posts=2000, seconds=10, rounds=3)
_QUICK_LISTS = Lists(requests=2_000, deep=20, rounds=3, calls=5)
_FULL_LISTS = Lists(requests=100_000, deep=1_000, rounds=9, calls=10)

_QUICK_WEB = Web(requests=400, rounds=1, slow=400, rate=2_000)
_FULL_WEB = Web(requests=4_000, rounds=5, slow=4_000, rate=10_000)


@dataclass(frozen=True, slots=True)
class Run:
    """What all parts of a run share."""

    folder: Path
    handler: Process
    handler_url: str
    bare: Process
    sizes: Sizes
    lists: Lists
    web: Web
    with_rival: bool
    hanging: hanging.Sizes

    def fixtures(self, clerk: Process) -> None:
        """Fill a database with the webhooks of drains and steady changes."""
        clerk.ask("fixtures", handler=self.handler_url)


def main() -> int:
    """Run the chosen parts and return the exit code."""
    options = _options()
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmarks read /proc: run them on Linux.")
    rows: list[Row] = []
    load = os.getloadavg()[0]
    try:
        with _run(options) as run:
            for name, part in _PARTS.items():
                if not options.parts or name in options.parts:
                    rows += _attempt(name, part, run)
    except Broken as error:
        print(error, file=sys.stderr)
        return 2
    # Rates are worth little where others work at the same time; processor time suffers less.
    print(
        f"\n{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load at the start {load:.1f}\n"
    )
    print(render(rows))
    return int(any(row.missed for row in rows))


def _attempt(name: str, part: object, run: Run) -> list[Row]:
    print(f"Measuring: {name} …", flush=True)
    try:
        return part(run)  # type: ignore[operator, no-any-return]
    except Missing as missing:
        print(f"NOT MEASURED, {name}: {missing}.")
        return []


def _embedded(run: Run) -> list[Row]:
    with subjects.embedded(run.folder, run.fixtures) as subject:
        ours = measure_subject(subject, run.handler, run.bare, run.sizes)
    theirs = None
    if run.with_rival:
        try:
            # It can't do without a broker: SQLite as ours, and Redis.
            with servers.redis_server(run.folder) as broker:
                database = f"sqlite://{run.folder}/rival.sqlite3"
                with subjects.rival(run.folder, "embedded", database, f"{broker}/0") as rival:
                    theirs = measure_rival(rival, run.handler, run.handler_url, run.sizes)
        except Missing as missing:
            print(f"NOT MEASURED, django-webhook beside the embedded set-up: {missing}.")
    return rows_of("embedded", ours, theirs)


def _distributed(run: Run) -> list[Row]:
    theirs = None
    with servers.redis_server(run.folder) as broker, servers.postgres_server() as server:
        with (
            servers.database(server, "ours") as database,
            subjects.distributed(run.folder, database, broker, run.fixtures) as subject,
        ):
            ours = measure_subject(subject, run.handler, run.bare, run.sizes)
        if run.with_rival:
            try:
                with (
                    servers.database(server, "theirs") as database,
                    subjects.rival(run.folder, "distributed", database, f"{broker}/1") as rival,
                ):
                    theirs = measure_rival(rival, run.handler, run.handler_url, run.sizes)
            except Missing as missing:
                print(f"NOT MEASURED, django-webhook beside the distributed set-up: {missing}.")
    return rows_of("distributed", ours, theirs)


def _lists(run: Run) -> list[Row]:
    rows = _lists_on(run, "SQLite", f"sqlite:///{run.folder}/lists.sqlite3")
    try:
        with servers.postgres_server() as server, servers.database(server, "lists") as database:
            rows += _lists_on(run, "PostgreSQL", database)
    except Missing as missing:
        print(f"NOT MEASURED, lists on PostgreSQL: {missing}.")
    return rows


def _lists_on(run: Run, name: str, database: str) -> list[Row]:
    env = environment(
        DATABASE_URL=database,
        SIM_DATA_DIR=str(run.folder / f"lists-{name}"),
        # The processor time of a parallel worker would be nobody's.
        PGOPTIONS="-c max_parallel_workers_per_gather=0",
    )
    with running(module("lists.calls"), env, run.folder / f"lists-{name}.log") as process:
        return rows_of_lists(f"lists, {name}", process, run.lists)


def _web(run: Run) -> list[Row]:
    return rows_of_web(run.folder, run.web)


def _hanging(run: Run) -> list[Row]:
    calls: list[int] = []

    def fixtures(clerk: Process) -> None:
        calls.append(clerk.ask("fixtures_of_hanging", handler=run.handler_url,
                               groups=hanging.GROUPS))  # fmt: skip

    with subjects.embedded(run.folder, fixtures, "hanging") as subject:
        rows = hanging.rows_of("hanging, embedded", subject, run.handler, calls[-1], run.hanging)
    try:
        with (
            servers.redis_server(run.folder) as broker,
            servers.postgres_server() as server,
            servers.database(server, "hanging") as database,
            subjects.distributed(run.folder, database, broker, fixtures, "hanging-d") as subject,
        ):
            name = "hanging, distributed"
            rows += hanging.rows_of(name, subject, run.handler, calls[-1], run.hanging)
    except Missing as missing:
        print(f"NOT MEASURED, requests that hang in the distributed set-up: {missing}.")
    return rows


_PARTS = {
    "embedded": _embedded,
    "distributed": _distributed,
    "hanging": _hanging,
    "lists": _lists,
    "web": _web,
}


@contextmanager
def _run(options: argparse.Namespace) -> Iterator[Run]:
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="connect-sim-bench-") as name:
        folder, env = Path(name), environment()
        with (
            running(module("handler", str(port)), env, folder / "handler.log") as handler,
            running(module("bare"), env, folder / "bare.log") as bare,
        ):
            handler.ask("ready")
            yield Run(
                folder, handler, f"http://127.0.0.1:{port}", bare, _sizes(options),
                _QUICK_LISTS if options.quick else _FULL_LISTS,
                _QUICK_WEB if options.quick else _FULL_WEB,
                not options.without_django_webhook,
                hanging.QUICK if options.quick else hanging.FULL,
            )  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"what to measure: {', '.join(_PARTS)}, or all"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works")
    parser.add_argument("--deliveries", type=int, help=f"in one drain, over {DRAIN} webhooks")
    parser.add_argument("--rounds", type=int, help="drains of each kind; the median counts")
    parser.add_argument(
        "--without-django-webhook", action="store_true", help="leave out the comparison"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = _QUICK if options.quick else _FULL
    if options.deliveries:
        sizes = sizes.with_(each=max(1, round(options.deliveries / DRAIN)))
    if options.rounds:
        sizes = sizes.with_(rounds=options.rounds)
    return sizes


if __name__ == "__main__":
    sys.exit(main())
