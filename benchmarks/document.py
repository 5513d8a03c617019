"""`python -m benchmarks report`: print the report of results, or write it into docs/benchmarks.md.

With `--write` the results replace those of the same benchmarks in the reference, from which the
tables of docs/benchmarks.md and docs/scaling.md are made.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import capacity, machine, registry, results, table
from benchmarks.processes import ROOT, BenchmarkError
from benchmarks.results import Result
from benchmarks.table import Row

PAGE = ROOT / "docs" / "benchmarks.md"
SCALING = ROOT / "docs" / "scaling.md"
BEGIN = (
    "<!-- From here on until its end, `python -m benchmarks report --write` writes this part. -->\n"
)
END = "<!-- The end of the written part. -->\n"
_VERDICTS = {"aim": "aim reached", "ok": "yes", "FAIL": "**missed**"}


def main(arguments: Sequence[str]) -> int:
    """Print or write the report; return 2 if a file cannot be used."""
    options = _options(arguments)
    try:
        runs = [results.read(path) for path in options.files or [results.REFERENCE]]
        if not options.write:
            print(render(results.merge(runs)))
            return 0
        store(runs)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def store(runs: Sequence[Sequence[Result]]) -> None:
    """Put the results of runs into the reference, and its report into the documentation.

    Raises BenchmarkError for those of `--quick`, whose sizes are too small to say anything.
    """
    for result in (result for run in runs for result in run):
        if result.quick:
            raise BenchmarkError(f"{result.name} was measured with --quick: measure at full size.")
    known = [results.read(results.REFERENCE)] if results.REFERENCE.exists() else []
    merged = results.merge([*known, *runs])
    pages = updated(merged)
    results.write(results.REFERENCE, merged)
    for path, text in pages.items():
        path.write_text(text)


def updated(measured: Sequence[Result]) -> dict[Path, str]:
    """Return the pages with their written parts; raises BenchmarkError if one has no marks."""
    return {
        PAGE: _updated(PAGE, render(measured)),
        SCALING: _updated(SCALING, capacity.render(measured)),
    }


def _updated(path: Path, text: str) -> str:
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    page = path.read_text()
    if not pattern.search(page):
        raise BenchmarkError(f"{path.name} has no part that is written by this command.")
    return pattern.sub(lambda match: f"{BEGIN}\n{text}\n{END}", page)


def render(measured: Sequence[Result]) -> str:
    """Return the report as Markdown: what has a floor, then all figures of each benchmark."""
    order = list(registry.BENCHMARKS)
    ordered = sorted(measured, key=lambda result: order.index(result.name))
    lines = ["### Floors and aims", "", *_summary(ordered), ""]
    for result in ordered:
        lines += [f"### {result.name}: {result.title}", "", _circumstances(result), ""]
        lines += [table.render(result.rows), ""]
        lines += [f"Not measured: {reason}." for reason in result.not_measured]
    return "\n".join(lines)


def _summary(measured: Sequence[Result]) -> list[str]:
    lines = ["| | set-up, figure | measured | floor | aim | holds |", "|---|---|---|---|---|---|"]
    for result in measured:
        for row in result.rows:
            if row.bound is not None:
                lines.append(f"| {result.name} | {' | '.join(_cells(row))} |")
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    is_ratio = row.ratio is not None and not row.absolute
    figure = re.sub(r", (ms|s|MiB)$", "", row.figure) if is_ratio else row.figure
    return (
        f"{row.part}: {figure}{f', relative to {row.beside}' if is_ratio and row.beside else ''}",
        table.ratio(row.decisive) if is_ratio else table.number(row.decisive),
        _limit(row.bound, is_ratio=is_ratio),
        _limit(row.aim, is_ratio=is_ratio),
        _VERDICTS[row.verdict],
    )


def _limit(bound: table.Bound | None, *, is_ratio: bool) -> str:
    if bound is None:
        return ""
    text = table.ratio(bound.limit) if is_ratio else table.number(bound.limit)
    return f"{'≥' if bound.at_least else '≤'} {text}"


def _circumstances(result: Result) -> str:
    start, end = result.load
    commit = f", commit {result.commit}" if result.commit else ""
    return (
        f"{result.started}{commit}; {machine.sentence(result.machine)}; load {start:g} at the "
        f"start, {end:g} at the end; {result.seconds:.0f} s."
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks report", description=__doc__)
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="raw results; of several, the last one of each benchmark counts",
    )
    parser.add_argument("--write", action="store_true", help="store them in the documentation")
    options = parser.parse_args(arguments)
    if options.write and not options.files:
        parser.error("--write needs a file of results")
    return options
