"""The benchmarks by name, their runs, and the report of results.

With `report --write` the results replace those of the same benchmarks in the reference, from which
the tables of docs/benchmarks.md and docs/scaling.md are made.
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from benchmarks import capacity, deliveries, sandbox, table
from benchmarks.part import BenchmarkError, Part
from benchmarks.table import Row
from tests.processes import ROOT

MISSED, FAILED = 1, 2
FOLDER = Path(__file__).resolve().parent / "results"
# The run that docs/benchmarks.md shows.
REFERENCE = FOLDER / "reference.json"
PAGE = ROOT / "docs" / "benchmarks.md"
SCALING = ROOT / "docs" / "scaling.md"
VERSION = 2
BEGIN = (
    "<!-- From here on until its end, `python -m benchmarks report --write` writes this part. -->\n"
)
END = "<!-- The end of the written part. -->\n"
_VERDICTS = {"aim": "aim reached", "ok": "yes", "FAIL": "**missed**"}
_PACKAGES = ("django", "celery", "aiohttp", "uvloop", "psycopg", "redis", "requests")
# The results of a run: an entry for each benchmark, as in its file, but with rows of the table.
Results = list[dict[str, Any]]


# The parts of a benchmark, and whether each uses PostgreSQL and Redis.
EMBEDDED, DISTRIBUTED = {"embedded": False}, {"distributed": True}
BOTH = EMBEDDED | DISTRIBUTED
DATABASES = {"SQLite": False, "PostgreSQL": True}
LOG = {f"log, {name}": uses_servers for name, uses_servers in DATABASES.items()}
API_CALLS = {f"API calls, {name}": uses_servers for name, uses_servers in BOTH.items()}


# By name: the group, the function that measures, the parts, and a title.
BENCHMARKS: dict[str, tuple[str, Callable[[Part], Iterable[Row]], dict[str, bool], str]] = {
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
    "log": ("sandbox", sandbox.log, LOG, "pages of the deliveries log"),
    "api_calls": ("sandbox", sandbox.api_calls, API_CALLS, "recorded API calls"),
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
}
GROUPS = dict.fromkeys(group for group, *_ in BENCHMARKS.values())


def main() -> int:
    """Run the chosen benchmarks, or the report; return 1 if a floor is missed, 2 after an error."""
    names = ", ".join([*BENCHMARKS, *GROUPS])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure, print a table, and exit with 1 if a floor is missed.",
        epilog="python -m benchmarks report FILE… prints the report of results; of several files, "
        "the last result of each benchmark counts. --write stores it in the documentation.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"{names}, or all")
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
    if is_report and (options.quick or options.output):
        parser.error("a report has no --quick and no --output: these are options of a run")
    if options.write and not (is_report and options.names[1:]):
        parser.error("--write stores a report: give `report` and files of results")
    try:
        if is_report:
            runs = [read(Path(name)) for name in options.names[1:] or [REFERENCE]]
            if options.write:
                store(runs)
            else:
                print(render(merge(runs)))
            return 0
        chosen = choose(options.names)
    except BenchmarkError as error:
        parser.exit(FAILED, f"{error}\n")
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmarks read /proc: run them on Linux.")
    # So that the servers of the run end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    # All calls are local: an HTTP_PROXY of the environment is not for them.
    os.environ["no_proxy"] = "127.0.0.1"
    path = options.output or FOLDER / f"{_now().replace(':', '')}.json"
    # Other work on the machine distorts rates; CPU time is affected less.
    print(f"{_now()}, {_sentence(_machine())}, load {_load():g}", flush=True)
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
    print(f"\nRaw results: {path}")
    for names, what in ((missed, "A floor is missed"), (failed, "Not measured")):
        print(*[f"{what}: {', '.join(names)}.\n"] * bool(names), end="")
    return FAILED if failed else MISSED if missed else 0


def choose(names: Sequence[str]) -> list[str]:
    """Return the benchmarks of names and groups, in their order; all without any."""
    if unknown := set(names) - {*BENCHMARKS, *GROUPS}:
        raise BenchmarkError(f"unknown benchmark: {', '.join(sorted(unknown))}")
    return [
        name for name, (group, *_) in BENCHMARKS.items() if not names or {name, group} & set(names)
    ]


def _measure(name: str, *, quick: bool) -> dict[str, Any]:
    """Measure all parts of a benchmark, and return its entry in the file of results."""
    _, measure, parts, title = BENCHMARKS[name]
    print(f"\n{name}: {title} …", flush=True)
    started, load, began = _now(), _load(), time.monotonic()
    rows: list[Row] = []
    not_measured = []
    for part_name, uses_servers in parts.items():
        try:
            with tempfile.TemporaryDirectory(prefix="connect-sim-") as data, ExitStack() as stack:
                part = Part(part_name, Path(data), stack, uses_servers=uses_servers, quick=quick)
                # One by one: what is measured before a server is missed is kept.
                for row in measure(part):
                    rows.append(replace(row, part=part_name))
        except pytest.skip.Exception as missing:  # a server that is not installed
            not_measured.append(f"{part_name}: {missing}")
            print(f"NOT MEASURED, {not_measured[-1]}.", flush=True)
    seconds = round(time.monotonic() - began, 1)
    print(f"{name}: {seconds:.0f} s, load {load:g} to {_load():g}\n")
    print(table.render(rows), flush=True)
    return {
        "name": name,
        "title": title,
        "started": started,
        "commit": commit(),
        "machine": _machine(),
        "quick": quick,
        "load": (load, _load()),
        "seconds": seconds,
        "rows": rows,
        "not_measured": not_measured,
    }


def _load() -> float:
    """Return how many processes were running or waiting for a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _machine() -> dict[str, Any]:
    """Return what the figures depend on, beside the code."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "processor": processor[1].strip() if processor else "unknown",
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def _sentence(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']:g} GiB "
        f"of memory, Python {machine['python']}"
    )


def commit() -> str:
    """Return the commit, with `+changes` if the tree has any; empty outside of a repository."""
    commands = (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
    name, changes = (
        subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        for command in commands
    )
    return f"{name}{'+changes' * bool(changes)}"


def write(path: Path, results: Results) -> None:
    entries = [{**each, "rows": [row.to_json() for row in each["rows"]]} for each in results]
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"version": VERSION, "benchmarks": entries}, indent=1) + "\n")
    draft.replace(path)


def read(path: Path) -> Results:
    """Return the results of a file; raises BenchmarkError if it is not one of ours."""
    try:
        document = json.loads(path.read_text())
        if document["version"] != VERSION:
            raise BenchmarkError(f"{path} is of version {document['version']}, not {VERSION}.")
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


def merge(runs: Sequence[Results]) -> Results:
    return list({result["name"]: result for results in runs for result in results}.values())


def store(runs: Sequence[Results]) -> None:
    """Put the results of runs into the reference, and its report into the documentation.

    Raises BenchmarkError for those of `--quick`, whose sizes are too small to say anything.
    """
    if quick := [result["name"] for result in merge(runs) if result["quick"]]:
        raise BenchmarkError(f"{quick[0]} was measured with --quick: measure at full size.")
    merged = merge([*([read(REFERENCE)] if REFERENCE.exists() else []), *runs])
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
    order = list(BENCHMARKS)
    ordered = sorted(measured, key=lambda result: order.index(result["name"]))
    floors = [
        f"| {result['name']} | {_summary(row)} |"
        for result in ordered
        for row in result["rows"]
        if row.floor is not None
    ]
    header = ["### Floors and aims", "", "| | set-up, figure | measured | floor | aim | holds |"]
    lines = [*header, "|---|---|---|---|---|---|", *floors, ""]
    for result in ordered:
        start, end = result["load"]
        commit = f", commit {result['commit']}" if result["commit"] else ""
        lines += [
            f"### {result['name']}: {result['title']}",
            "",
            f"{result['started']}{commit}; {_sentence(result['machine'])}; load {start:g} "
            f"at the start, {end:g} at the end; {result['seconds']:.0f} s.",
            "",
            table.render(result["rows"]),
            "",
            *(f"Not measured: {reason}." for reason in result["not_measured"]),
        ]
    return "\n".join(lines)


def _summary(row: table.Row) -> str:
    is_ratio = row.ratio is not None and not row.absolute
    show = table.ratio if is_ratio else table.number
    figure = re.sub(r", (ms|s|MiB)$", "", row.figure) if is_ratio else row.figure
    beside = f", relative to {row.beside}" if is_ratio and row.beside else ""
    holds = _VERDICTS[row.verdict]
    cells = (show(row.decisive), *row.limits(show, "≤", "≥"), holds)
    return " | ".join([f"{row.part}: {figure}{beside}", *cells])
