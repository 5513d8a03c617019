"""`python -m benchmarks`: measure, print a table, and exit with 1 if a bound is missed."""

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

from benchmarks import cli, hanging, live, log_pages, reset, servers, subjects, waiting
from benchmarks.api_calls import Calls, measure_api_calls
from benchmarks.clock import Clock, measure_clock
from benchmarks.lists.report import Lists, measure_lists
from benchmarks.processes import BenchmarkError, Process, environment, module, running
from benchmarks.report import Sizes, build_rows, measure_django_webhook, measure_subject
from benchmarks.servers import Unavailable
from benchmarks.table import Row, render
from benchmarks.web.report import Web, measure_web
from benchmarks.workload import DRAIN

_QUICK = Sizes(each=10, django_webhook_each=2, posts=400, seconds=3, rounds=1)
_FULL = Sizes(each=51, django_webhook_each=10, posts=2000, seconds=10, rounds=3)
_QUICK_LISTS = Lists(requests=2_000, deep=20, rounds=3, calls=5)
_FULL_LISTS = Lists(requests=100_000, deep=1_000, rounds=9, calls=10)

_QUICK_CALLS = Calls(requests=2_000, rounds=120)
_FULL_CALLS = Calls(requests=4_000, rounds=400)

_QUICK_WEB = Web(requests=400, rounds=1, slow=400, rate=2_000)
_FULL_WEB = Web(requests=4_000, rounds=5, slow=4_000, rate=10_000)

_QUICK_CLOCK = Clock(rounds=1, moves=3)
_FULL_CLOCK = Clock(rounds=5, moves=50)


@dataclass(frozen=True, slots=True)
class Run:
    """Processes, sizes and options that all parts of a run share."""

    folder: Path
    handler: Process
    handler_url: str
    baseline: Process
    sizes: Sizes
    lists: Lists
    web: Web
    clock: Clock
    api_calls: Calls
    with_django_webhook: bool
    hanging: hanging.Sizes
    cli: cli.Cli
    waiting: waiting.Waiting
    live: live.Live
    reset: reset.Reset
    log: log_pages.LogSizes

    def fixtures(self, workload: Process) -> None:
        """Fill a database with the webhooks of the drains and the steady changes."""
        workload.ask("fixtures", handler=self.handler_url)


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
                    rows += _measure(name, part, run)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    # Other work on the machine distorts rates; CPU time is affected less.
    print(
        f"\n{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load at the start {load:.1f}\n"
    )
    print(render(rows))
    return int(any(row.missed for row in rows))


def _measure(name: str, part: object, run: Run) -> list[Row]:
    print(f"Measuring: {name} …", flush=True)
    try:
        return part(run)  # type: ignore[operator, no-any-return]
    except Unavailable as error:
        print(f"NOT MEASURED, {name}: {error}.")
        return []


def _embedded(run: Run) -> list[Row]:
    with subjects.embedded(run.folder, run.fixtures) as subject:
        subject_result = measure_subject(subject, run.handler, run.baseline, run.sizes)
    other_result = None
    if run.with_django_webhook:
        try:
            # django-webhook requires a broker: SQLite as in our set-up, and Redis.
            with servers.redis_server(run.folder) as broker:
                database = f"sqlite://{run.folder}/django-webhook.sqlite3"
                with subjects.django_webhook(
                    run.folder, "embedded", database, f"{broker}/0"
                ) as setup:
                    other_result = measure_django_webhook(
                        setup, run.handler, run.handler_url, run.sizes
                    )
        except Unavailable as error:
            print(f"NOT MEASURED, django-webhook beside the embedded set-up: {error}.")
    return build_rows("embedded", subject_result, other_result)


def _distributed(run: Run) -> list[Row]:
    other_result = None
    with servers.redis_server(run.folder) as broker, servers.postgres_server() as server:
        with (
            servers.database(server, "ours") as database,
            subjects.distributed(run.folder, database, broker, run.fixtures) as subject,
        ):
            subject_result = measure_subject(subject, run.handler, run.baseline, run.sizes)
        if run.with_django_webhook:
            try:
                with (
                    servers.database(server, "theirs") as database,
                    subjects.django_webhook(
                        run.folder, "distributed", database, f"{broker}/1"
                    ) as setup,
                ):
                    other_result = measure_django_webhook(
                        setup, run.handler, run.handler_url, run.sizes
                    )
            except Unavailable as error:
                print(f"NOT MEASURED, django-webhook beside the distributed set-up: {error}.")
    return build_rows("distributed", subject_result, other_result)


def _lists(run: Run) -> list[Row]:
    rows = _lists_on(run, "SQLite", f"sqlite:///{run.folder}/lists.sqlite3")
    try:
        with servers.postgres_server() as server, servers.database(server, "lists") as database:
            rows += _lists_on(run, "PostgreSQL", database)
    except Unavailable as error:
        print(f"NOT MEASURED, lists on PostgreSQL: {error}.")
    return rows


def _lists_on(run: Run, name: str, database: str) -> list[Row]:
    env = environment(
        DATABASE_URL=database,
        SIM_DATA_DIR=str(run.folder / f"lists-{name}"),
        # The CPU time of parallel workers could not be attributed to the connection.
        PGOPTIONS="-c max_parallel_workers_per_gather=0",
    )
    with running(module("lists.calls"), env, run.folder / f"lists-{name}.log") as process:
        return measure_lists(f"lists, {name}", process, run.lists)


def _log(run: Run) -> list[Row]:
    return log_pages.measure_log(run.folder, run.log)


def _api_calls(run: Run) -> list[Row]:
    rows = _api_calls_in(run, "embedded")
    try:
        with (
            servers.redis_server(run.folder) as broker,
            servers.postgres_server() as server,
            servers.database(server, "calls") as database,
        ):
            rows += _api_calls_in(
                run, "distributed", DATABASE_URL=database, CELERY_BROKER_URL=f"{broker}/0"
            )
    except Unavailable as error:
        print(f"NOT MEASURED, API calls in the distributed set-up: {error}.")
    return rows


def _api_calls_in(run: Run, name: str, **variables: str) -> list[Row]:
    env = environment(SIM_DATA_DIR=str(run.folder / f"api-calls-{name}"), **variables)
    with running(module("api_calls"), env, run.folder / f"api-calls-{name}.log") as process:
        return measure_api_calls(f"API calls, {name}", process, run.api_calls)


def _web(run: Run) -> list[Row]:
    return measure_web(run.folder, run.web)


def _cli(run: Run) -> list[Row]:
    return cli.measure_cli(run.folder, run.cli)


def _clock(run: Run) -> list[Row]:
    return measure_clock(run.folder, run.handler_url, run.clock)


def _live(run: Run) -> list[Row]:
    return live.measure_live(run.folder, run.handler_url, run.live)


def _waiting(run: Run) -> list[Row]:
    return waiting.measure_waiting(run.folder, run.handler_url, run.waiting)


def _reset(run: Run) -> list[Row]:
    return reset.measure_reset(run.folder, run.handler_url, run.reset)


def _hanging(run: Run) -> list[Row]:
    calls: list[int] = []

    def fixtures(workload: Process) -> None:
        calls.append(workload.ask("hanging_fixtures", handler=run.handler_url,
                               groups=hanging.GROUPS))  # fmt: skip

    with subjects.embedded(run.folder, fixtures, "hanging") as subject:
        rows = hanging.measure_hanging(
            "hanging, embedded", subject, run.handler, calls[-1], run.hanging
        )
    try:
        with (
            servers.redis_server(run.folder) as broker,
            servers.postgres_server() as server,
            servers.database(server, "hanging") as database,
            subjects.distributed(run.folder, database, broker, fixtures, "hanging-d") as subject,
        ):
            name = "hanging, distributed"
            rows += hanging.measure_hanging(name, subject, run.handler, calls[-1], run.hanging)
    except Unavailable as error:
        print(f"NOT MEASURED, requests that hang in the distributed set-up: {error}.")
    return rows


_PARTS = {
    "embedded": _embedded,
    "distributed": _distributed,
    "hanging": _hanging,
    "lists": _lists,
    "log": _log,
    "api_calls": _api_calls,
    "web": _web,
    "cli": _cli,
    "clock": _clock,
    "waiting": _waiting,
    "live": _live,
    "reset": _reset,
}


@contextmanager
def _run(options: argparse.Namespace) -> Iterator[Run]:
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="connect-sim-bench-") as name:
        folder, env = Path(name), environment()
        with (
            running(module("handler", str(port)), env, folder / "handler.log") as handler,
            running(module("baseline"), env, folder / "baseline.log") as baseline,
        ):
            handler.ask("ready")
            yield Run(
                folder, handler, f"http://127.0.0.1:{port}", baseline, _sizes(options),
                _QUICK_LISTS if options.quick else _FULL_LISTS,
                _QUICK_WEB if options.quick else _FULL_WEB,
                _QUICK_CLOCK if options.quick else _FULL_CLOCK,
                _QUICK_CALLS if options.quick else _FULL_CALLS,
                not options.without_django_webhook,
                hanging.QUICK if options.quick else hanging.FULL,
                cli.QUICK if options.quick else cli.FULL,
                waiting.QUICK if options.quick else waiting.FULL,
                live.QUICK if options.quick else live.FULL,
                reset.QUICK if options.quick else reset.FULL,
                log_pages.QUICK if options.quick else log_pages.FULL,
            )  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"what to measure: {', '.join(_PARTS)}, or all"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, as a smoke test")
    parser.add_argument(
        "--deliveries", type=int, help=f"deliveries in one drain, over {DRAIN} webhooks"
    )
    parser.add_argument("--rounds", type=int, help="drains of each kind; the median is reported")
    parser.add_argument(
        "--without-django-webhook", action="store_true", help="leave out the comparison"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
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
