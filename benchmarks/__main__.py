"""`python -m benchmarks`: measure, print a table, and exit with 1 if a floor is missed."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import document, machine, registry, results, run, table
from benchmarks.processes import BenchmarkError
from benchmarks.registry import Benchmark
from benchmarks.results import Result
from benchmarks.run import Run

MISSED, FAILED = 1, 2


def main() -> int:
    """Run the chosen benchmarks, or write the report, and return the exit code."""
    if sys.argv[1:2] == ["report"]:
        return document.main(sys.argv[2:])
    options = _options()
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmarks read /proc: run them on Linux.")
    # So that the servers of the run end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAILED))
    started = _now()
    path = options.output or results.FOLDER / f"{started.replace(':', '')}.json"
    # Other work on the machine distorts rates; CPU time is affected less.
    print(f"{started}, {machine.sentence(machine.describe())}, load {machine.load():g}", flush=True)
    measured: list[Result] = []
    failed = []
    with run.started(quick=options.quick) as shared:
        for benchmark in options.benchmarks:
            try:
                measured.append(_measure(benchmark, shared))
            except BenchmarkError as error:
                # The others are measured all the same.
                print(f"{benchmark.name} FAILED: {error}", file=sys.stderr, flush=True)
                failed.append(benchmark.name)
            results.write(path, measured)
    print(f"\nRaw results: {path}")
    missed = [each.name for each in measured if any(row.missed for row in each.rows)]
    for names, what in ((missed, "A floor is missed"), (failed, "Not measured")):
        if names:
            print(f"{what}: {', '.join(names)}.")
    return FAILED if failed else MISSED if missed else 0


def _measure(benchmark: Benchmark, shared: Run) -> Result:
    print(f"\n{benchmark.name}: {benchmark.title} …", flush=True)
    shared.not_measured.clear()
    started, load, began = _now(), machine.load(), time.monotonic()
    rows = benchmark.measure(shared)
    result = Result(
        benchmark.name,
        benchmark.title,
        started,
        machine.commit(),
        machine.describe(),
        shared.quick,
        (load, machine.load()),
        round(time.monotonic() - began, 1),
        rows,
        list(shared.not_measured),
    )
    start, end = result.load
    print(f"{benchmark.name}: {result.seconds:.0f} s, load {start:g} to {end:g}\n")
    print(table.render(rows), flush=True)
    return result


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _options() -> argparse.Namespace:
    names = [*registry.BENCHMARKS, *registry.GROUPS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="python -m benchmarks report FILE… prints the report of results; --write stores it.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(names)}, or all")
    parser.add_argument("--quick", action="store_true", help="small numbers, as a smoke test")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the raw results are written; a new file in benchmarks/results/ without it",
    )
    options = parser.parse_args()
    try:
        options.benchmarks = registry.choose(options.names)
    except ValueError as error:
        parser.error(f"unknown benchmark: {error}")
    return options


if __name__ == "__main__":
    sys.exit(main())
