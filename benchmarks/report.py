"""`python -m benchmarks report`: print the report of results, or write it into docs/benchmarks.md.

With `--write` the results replace those of the same benchmarks in the reference, from which the
tables of docs/benchmarks.md and docs/scaling.md are made.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import capacity, machine, registry, table
from benchmarks.processes import BenchmarkError
from tests.processes import ROOT

FOLDER = Path(__file__).resolve().parent / "results"
# The run that docs/benchmarks.md shows.
REFERENCE = FOLDER / "reference.json"
PAGE = ROOT / "docs" / "benchmarks.md"
SCALING = ROOT / "docs" / "scaling.md"
VERSION = 1
BEGIN = (
    "<!-- From here on until its end, `python -m benchmarks report --write` writes this part. -->\n"
)
END = "<!-- The end of the written part. -->\n"
_VERDICTS = {"aim": "aim reached", "ok": "yes", "FAIL": "**missed**"}
# The results of a run: an entry for each benchmark, as in its file, but with rows of the table.
Results = list[dict[str, Any]]


def main(paths: Sequence[Path], *, is_written: bool) -> int:
    """Print or write the report; return 2 if a file cannot be used."""
    try:
        if is_written and not paths:
            raise BenchmarkError("--write needs a file of results.")
        runs = [read(path) for path in paths or [REFERENCE]]
        if is_written:
            store(runs)
        else:
            print(render(merge(runs)))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write(path: Path, results: Results) -> None:
    """Write the results of a run."""
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
        return [
            {**entry, "rows": [table.from_json(row) for row in entry["rows"]]}
            for entry in document["benchmarks"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} has no results of benchmarks: {error!r}.") from None


def merge(runs: Sequence[Results]) -> Results:
    """Return the latest result of each benchmark; those of later runs replace earlier ones."""
    return list({result["name"]: result for results in runs for result in results}.values())


def store(runs: Sequence[Results]) -> None:
    """Put the results of runs into the reference, and its report into the documentation.

    Raises BenchmarkError for those of `--quick`, whose sizes are too small to say anything.
    """
    for result in merge(runs):
        if result["quick"]:
            raise BenchmarkError(
                f"{result['name']} was measured with --quick: measure at full size."
            )
    merged = merge([*([read(REFERENCE)] if REFERENCE.exists() else []), *runs])
    pages = updated(merged)
    write(REFERENCE, merged)
    for path, text in pages.items():
        path.write_text(text)


def updated(measured: Results) -> dict[Path, str]:
    """Return the pages with their written parts; raises BenchmarkError if one has no marks."""
    pages = {}
    for path, text in ((PAGE, render(measured)), (SCALING, capacity.render(measured))):
        before, begin, rest = path.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise BenchmarkError(f"{path.name} has no part that is written by this command.")
        pages[path] = f"{before}{BEGIN}\n{text}\n{END}{after}"
    return pages


def render(measured: Results) -> str:
    """Return the report as Markdown: what has a floor, then all figures of each benchmark."""
    order = list(registry.BENCHMARKS)
    ordered = sorted(measured, key=lambda result: order.index(result["name"]))
    lines = ["### Floors and aims", "", "| | set-up, figure | measured | floor | aim | holds |"]
    lines.append("|---|---|---|---|---|---|")
    for result in ordered:
        bounded = [row for row in result["rows"] if row.bound is not None]
        lines += [f"| {result['name']} | {_summary(row)} |" for row in bounded]
    lines.append("")
    for result in ordered:
        start, end = result["load"]
        commit = f", commit {result['commit']}" if result["commit"] else ""
        lines += [
            f"### {result['name']}: {result['title']}",
            "",
            f"{result['started']}{commit}; {machine.sentence(result['machine'])}; load {start:g} "
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
    limits = [
        f"{'≥' if bound.at_least else '≤'} {show(bound.limit)}" if bound else ""
        for bound in (row.bound, row.aim)
    ]
    cells = [f"{row.part}: {figure}{beside}", show(row.decisive), *limits, _VERDICTS[row.verdict]]
    return " | ".join(cells)
