"""`python -m benchmarks`: measure, print a table, and exit with 1 if a floor is missed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine, registry, report, table
from benchmarks.part import Part
from benchmarks.registry import Benchmark

MISSED, FAILED = 1, 2


def main() -> int:
    """Run the chosen benchmarks, or write the report, and return the exit code."""
    names = ", ".join([*registry.BENCHMARKS, *registry.GROUPS])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
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
    if options.names[:1] == ["report"]:
        return report.main([Path(name) for name in options.names[1:]], is_written=options.write)
    try:
        chosen = registry.choose(options.names)
    except ValueError as error:
        parser.error(f"unknown benchmark: {error}")
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmarks read /proc: run them on Linux.")
    # So that the servers of the run end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    path = options.output or report.FOLDER / f"{_now().replace(':', '')}.json"
    # Other work on the machine distorts rates; CPU time is affected less.
    print(f"{_now()}, {machine.sentence(machine.describe())}, load {machine.load():g}", flush=True)
    measured: list[dict[str, Any]] = []
    failed, missed = [], []
    for benchmark in chosen:
        try:
            measured.append(_measure(benchmark, quick=options.quick))
            missed += [benchmark.name] * any(row.verdict == "FAIL" for row in measured[-1]["rows"])
        except Exception:
            # The others are measured all the same.
            traceback.print_exc()
            failed.append(benchmark.name)
        report.write(path, measured)
    print(f"\nRaw results: {path}")
    for names, what in ((missed, "A floor is missed"), (failed, "Not measured")):
        if names:
            print(f"{what}: {', '.join(names)}.")
    return FAILED if failed else MISSED if missed else 0


def _measure(benchmark: Benchmark, *, quick: bool) -> dict[str, Any]:
    """Measure all parts of a benchmark, and return its entry in the file of results."""
    print(f"\n{benchmark.name}: {benchmark.title} …", flush=True)
    started, load, began = _now(), machine.load(), time.monotonic()
    rows: list[table.Row] = []
    not_measured = []
    for name, uses_servers in benchmark.parts.items():
        try:
            with tempfile.TemporaryDirectory(prefix="connect-sim-") as data, ExitStack() as stack:
                part = Part(name, Path(data), stack, uses_servers=uses_servers, quick=quick)
                rows += [replace(row, part=name) for row in benchmark.measure(part)]
        except pytest.skip.Exception as missing:  # a server that is not installed
            not_measured.append(f"{name}: {missing}")
            print(f"NOT MEASURED, {name}: {missing}.", flush=True)
    seconds = round(time.monotonic() - began, 1)
    print(f"{benchmark.name}: {seconds:.0f} s, load {load:g} to {machine.load():g}\n")
    print(table.render(rows), flush=True)
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "started": started,
        "commit": machine.commit(),
        "machine": machine.describe(),
        "quick": quick,
        "load": (load, machine.load()),
        "seconds": seconds,
        "rows": rows,
        "not_measured": not_measured,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
