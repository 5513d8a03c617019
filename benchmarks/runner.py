"""The benchmarks by name, their runs, and the report of results.

With `report --write` the results replace those of the same benchmarks in the reference, from which
the tables of docs/benchmarks.md and docs/scaling.md are made.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from benchmarks import capacity, deliveries, sandbox, starts, table
from benchmarks.part import BenchmarkError, Part
from benchmarks.table import Row
from tests.processes import ROOT, commit

MISSED, FAILED = 1, 2
FOLDER = Path(__file__).resolve().parent / "results"
# The run that docs/benchmarks.md shows.
REFERENCE = FOLDER / "reference.json"
PAGE = ROOT / "docs" / "benchmarks.md"
SCALING = ROOT / "docs" / "scaling.md"
BEGIN = (
    "<!-- From here on until its end, `python -m benchmarks report --write` writes this part. -->\n"
)
END = "<!-- The end of the written part. -->\n"
_PACKAGES = ("django", "celery", "aiohttp", "uvloop", "psycopg", "redis", "requests")
# The results of a run: an entry for each benchmark, as in its file, but with rows of the table.
Results = list[dict[str, Any]]


# The parts of a benchmark, and whether each uses PostgreSQL and Redis.
EMBEDDED, DISTRIBUTED = {"embedded": False}, {"distributed": True}
BOTH = EMBEDDED | DISTRIBUTED
DATABASES = {"SQLite": False, "PostgreSQL": True}


# By name: the group, the function that measures, the parts, and a title.
BENCHMARKS: dict[str, tuple[str, Callable[..., Iterable[Row]], dict[str, bool], str]] = {
    "B1": ("deliveries", deliveries.posts, BOTH, "CPU of a delivery, beside a post by requests"),
    "B2": (
        "deliveries",
        deliveries.django_webhook_cpu,
        DISTRIBUTED,
        "CPU of a delivery, beside django-webhook",
    ),
    "B3": ("deliveries", deliveries.statements, BOTH, "SQL statements per delivery"),
    "B4": (
        "deliveries",
        deliveries.commit_to_receipt,
        BOTH,
        "commit to receipt, beside django-webhook",
    ),
    "B5": (
        "deliveries",
        deliveries.drains_beside_hanging,
        BOTH,
        "a drain beside a webhook that hangs",
    ),
    "B6": (
        "deliveries",
        deliveries.commit_beside_hanging,
        BOTH,
        "commit to receipt beside requests that hang",
    ),
    "B7": ("database", deliveries.claims, DATABASES, "a claim out of many deliveries"),
    "B8": ("database", deliveries.fan_out, DATABASES, "a request that matches many webhooks"),
    "B9": ("database", sandbox.lists, DATABASES, "lists of requests, beside a plain Django view"),
    "B10": ("deliveries", deliveries.memory, DISTRIBUTED, "memory, beside a bare Celery worker"),
    "B11": ("deliveries", deliveries.workers, DISTRIBUTED, "two workers beside one"),
    "B12": ("deliveries", deliveries.setups, EMBEDDED, "embedded beside PostgreSQL and Redis"),
    "B13": ("deliveries", deliveries.backlog, EMBEDDED, "a backlog after an outage"),
    "metrics": ("deliveries", deliveries.metrics, EMBEDDED, "deliveries with metrics"),
    "retention": ("deliveries", deliveries.retention, BOTH, "a drain beside pruning"),
    "log": (
        "sandbox",
        sandbox.log,
        {"log, SQLite": False, "log, PostgreSQL": True},
        "pages of the deliveries log",
    ),
    "api_calls": (
        "sandbox",
        sandbox.api_calls,
        {"API calls, embedded": False, "API calls, distributed": True},
        "recorded API calls",
    ),
    "web": ("sandbox", sandbox.web, {"web": False}, "the web server"),
    "cli": ("sandbox", sandbox.cli, {"cli": False}, "the command line"),
    "clock": ("sandbox", sandbox.clock, {"clock": False}, "moves of the sandbox's clock"),
    "waiting": ("sandbox", sandbox.waiting, {"waiting": False}, "waits of the sandbox"),
    "live": ("sandbox", sandbox.live, {"live": False}, "open pages of the portal"),
    "examples": (
        "sandbox",
        sandbox.approvals,
        {"examples": False},
        "orders approved by the examples",
    ),
    "reset": ("sandbox", sandbox.resets, {"reset": False}, "resets of the sandbox"),
    "catalog": ("sandbox", sandbox.catalog, {"catalog": False}, "all checks of a handler"),
    "start": ("sandbox", starts.starts, {"start": False}, "starts of a sandbox"),
    "plugin": ("sandbox", starts.plugin, {"plugin": False}, "tests with the pytest plugin"),
    "memory": ("sandbox", starts.memory, {"memory": False}, "memory of a sandbox"),
    "tasks": ("sandbox", starts.tasks, {"tasks": False}, "waiting tasks of an extension"),
    "requests": (
        "sandbox",
        starts.creations,
        {"embedded": False},
        "POST /requests, beside an earlier commit",
    ),
}
GROUPS = dict.fromkeys(group for group, *_ in BENCHMARKS.values())
# The arguments of the functions after the part: with --quick, and at full size.
SIZES: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
    "B1": ((10, 400, 1), (51, 2_000, 3)),
    "B2": ((10, 2, 1), (51, 10, 3)),
    "B3": ((10, 1), (40, 3)),
    "B4": ((3, 1), (15, 3)),
    "B5": ((10, 1), (100, 3)),
    "B6": ((5, 1), (8, 3)),
    "B7": ((5_000, 15_000, 1, 5), (100_000, 300_000, 3, 15)),
    "B8": (((1, 6), (1, 12)), ((3, 18), (5, 54))),
    "B9": ((2_000, 20, 3, 5), (100_000, 1_000, 9, 10)),
    "B10": ((1,), (3,)),
    "B11": ((3, 1), (12, 3)),
    "B12": ((10, 1), (51, 3)),
    "B13": ((10, 1), (202, 3)),
    "metrics": ((3, 1), (60, 5)),
    "retention": ((10, 200, 1), (51, 400, 3)),
    "log": ((1_000, 2_000, 5), (20_000, 100_000, 21)),
    "api_calls": ((2_000, 120), (4_000, 600)),
    "web": ((400, 1), (4_000, 5)),
    "cli": ((5,), (31,)),
    "clock": ((1, 3), (5, 50)),
    "waiting": ((1, 200), (5, 2_000)),
    "live": ((5, 1), (20, 3)),
    "examples": ((1, 3), (3, 10)),
    "reset": ((100, 2), (1_000, 9)),
    "catalog": ((1, "auth.get"), (5, "*")),
    "start": ((2,), (9,)),
    "plugin": ((5, 1), (100, 3)),
    "memory": ((100, 1), (1_200, 3)),
    "tasks": ((50, 1), (1_000, 3)),
    "requests": ((20, 2), (100, 10)),
}


def main() -> int:
    """Run the chosen benchmarks, or the report; return 1 if a floor is missed, 2 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure, print a table, and exit with 1 if a floor is missed.",
        epilog="python -m benchmarks report FILE… prints the report of results; of several files, "
        "the last result of each benchmark counts. --write stores it in the documentation.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"{', '.join([*BENCHMARKS, *GROUPS])}, or all"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, as a smoke test")
    parser.add_argument("--write", action="store_true", help="store the report")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the raw results are written; a new file in benchmarks/results/ without it",
    )
    options = parser.parse_intermixed_args()
    is_report = options.names[:1] == ["report"]
    if (options.quick or options.output) if is_report else options.write:
        parser.error("--quick and --output are options of a run, --write is one of a report")
    try:
        if is_report:
            results = merge(read(Path(name)) for name in options.names[1:] or [REFERENCE])
            if options.write:
                store(results)
            else:
                print(render(results))
            return 0
        chosen = choose(options.names)
    except BenchmarkError as error:
        parser.exit(FAILED, f"{error}\n")
    # So that the servers of the run end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    # All calls are local: an HTTP_PROXY of the environment is not for them.
    os.environ["no_proxy"] = "127.0.0.1"
    path = options.output or FOLDER / f"{_now().replace(':', '')}.json"
    measured: Results = []
    failed, missed = [], []
    for name in chosen:
        try:
            measured.append(_measure(name, quick=options.quick))
            missed += [name] * any(row.verdict == "FAIL" for row in measured[-1]["rows"])
        except Exception:
            # The others are measured all the same.
            traceback.print_exc()
            failed.append(name)
        write(path, measured)
    print(f"Raw results: {path}")
    print("Floors missed:", ", ".join(missed) or "none")
    print("Not measured:", ", ".join(failed) or "none")
    return FAILED if failed else MISSED if missed else 0


def choose(names: Sequence[str]) -> list[str]:
    if unknown := set(names) - {*BENCHMARKS, *GROUPS}:
        raise BenchmarkError(f"unknown benchmark: {', '.join(sorted(unknown))}")
    return [
        name for name, (group, *_) in BENCHMARKS.items() if not names or {name, group} & set(names)
    ]


def _measure(name: str, *, quick: bool) -> dict[str, Any]:
    _, measure, parts, title = BENCHMARKS[name]
    print(f"{name}: {title} …\n", flush=True)
    began = time.monotonic()
    _, _, processor = Path("/proc/cpuinfo").read_text().partition("model name\t: ")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    entry: dict[str, Any] = {
        "name": name,
        "title": title,
        "started": _now(),
        "commit": commit(),
        # What the figures depend on, beside the code.
        "machine": {
            "cores": os.cpu_count(),
            "processor": processor.partition("\n")[0] or "unknown",
            "memory_gib": round(memory / 2**30, 1),
            "kernel": os.uname().release,
            "python": sys.version.partition(" ")[0],
            "packages": {package: metadata.version(package) for package in _PACKAGES},
        },
        "quick": quick,
        # Processes that were running or waiting for a core in the last minute: other work on the
        # machine distorts rates; CPU time is affected less.
        "load": [round(os.getloadavg()[0], 2)],
        "rows": [],
        "not_measured": [],
    }
    for part_name, uses_servers in parts.items():
        try:
            with tempfile.TemporaryDirectory(prefix="connect-sim-") as data, ExitStack() as stack:
                part = Part(Path(data), stack, uses_servers=uses_servers)
                # One by one: what is measured before a server is missed is kept.
                for row in measure(part, *SIZES[name][not quick]):
                    entry["rows"].append(replace(row, part=part_name))
        except pytest.skip.Exception as missing:  # a server that is not installed
            entry["not_measured"].append(f"{part_name}: {missing}")
    entry["seconds"] = round(time.monotonic() - began, 1)
    entry["load"].append(round(os.getloadavg()[0], 2))
    print(render([entry]), flush=True)
    return entry


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def write(path: Path, results: Results) -> None:
    entries = [{**each, "rows": [asdict(row) for row in each["rows"]]} for each in results]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"benchmarks": entries}, indent=1) + "\n")


def read(path: Path) -> Results:
    """Return the results of a file; raises BenchmarkError if it is not one of ours."""
    try:
        document = json.loads(path.read_text())
        results = [
            {**entry, "rows": [Row.from_json(row) for row in entry["rows"]]}
            for entry in document["benchmarks"]
        ]
        # So that a file without what a report needs is refused here.
        render(results)
        [result["quick"] for result in results]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{path} has no results of benchmarks: {error!r}.") from None
    return results


def merge(runs: Iterable[Results]) -> Results:
    return list({result["name"]: result for results in runs for result in results}.values())


def store(results: Results) -> None:
    """Put results into the reference, and its report into the documentation.

    Raises BenchmarkError for those of `--quick`, whose sizes are too small to say anything, and for
    those of a tree with changes, which nobody could measure again.
    """
    known = read(REFERENCE)
    new = [result for result in results if result not in known]
    if changed := [result["name"] for result in new if result["commit"].endswith("+changes")]:
        raise BenchmarkError(
            f"{changed[0]} was measured with uncommitted changes: commit and measure again."
        )
    if quick := [result["name"] for result in results if result["quick"]]:
        raise BenchmarkError(f"{quick[0]} was measured with --quick: measure at full size.")
    merged = merge([known, results])
    pages = updated(merged)
    write(REFERENCE, merged)
    for path, text in pages.items():
        path.write_text(text)


def updated(measured: Results) -> dict[Path, str]:
    """Return the pages with their written parts; raises BenchmarkError if one has no marks."""
    pages = {}
    for path, text in ((PAGE, render(measured)), (SCALING, capacity.capacities(measured))):
        before, begin, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise BenchmarkError(f"{path.name} has no part that is written by this command.")
        pages[path] = f"{before}{BEGIN}\n{text}\n{END}{after}"
    return pages


def render(measured: Results) -> str:
    lines = []
    for result in sorted(measured, key=lambda result: list(BENCHMARKS).index(result["name"])):
        start, end, machine = *result["load"], result["machine"]
        tree = f", commit {result['commit']}" if result["commit"] else ""
        lines += [
            f"### {result['name']}: {result['title']}",
            "",
            f"{result['started']}{tree}; {machine['cores']} cores ({machine['processor']}), "
            f"{machine['memory_gib']:g} GiB of memory, Python {machine['python']}; load {start:g} "
            f"at the start, {end:g} at the end; {result['seconds']:.0f} s.",
            "",
            table.render(result["rows"]),
            "",
            *(f"Not measured: {reason}.\n" for reason in result["not_measured"]),
        ]
    return "\n".join(lines)
