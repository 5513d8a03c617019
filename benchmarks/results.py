"""Raw results of runs: a JSON file for each, from which the documentation is generated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.processes import BenchmarkError
from benchmarks.table import Row

FOLDER = Path(__file__).resolve().parent / "results"
# The run that docs/benchmarks.md shows.
REFERENCE = FOLDER / "reference.json"
VERSION = 1


@dataclass
class Result:
    """One benchmark of a run. `load` is that of the machine at its start and at its end."""

    name: str
    title: str
    started: str
    commit: str
    machine: dict[str, Any]
    quick: bool
    load: tuple[float, float]
    seconds: float
    rows: list[Row] = field(default_factory=list)
    # Parts that could not be measured, and why.
    not_measured: list[str] = field(default_factory=list)


def write(path: Path, results: Sequence[Result]) -> None:
    """Write the results of a run."""
    entries = [{**vars(each), "rows": [row.to_json() for row in each.rows]} for each in results]
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"version": VERSION, "benchmarks": entries}, indent=1) + "\n")
    draft.replace(path)


def read(path: Path) -> list[Result]:
    """Return the results of a file; raises BenchmarkError if it is not one of ours."""
    try:
        document = json.loads(path.read_text())
        if document["version"] != VERSION:
            raise BenchmarkError(f"{path} is of version {document['version']}, not {VERSION}.")
        return [_result(entry) for entry in document["benchmarks"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path} has no results of benchmarks: {error!r}.") from None


def _result(entry: dict[str, Any]) -> Result:
    rows = [table.from_json(row) for row in entry["rows"]]
    start, end = entry["load"]
    return Result(**{**entry, "rows": rows, "load": (start, end)})


def merge(runs: Sequence[Sequence[Result]]) -> list[Result]:
    """Return the latest result of each benchmark; those of later runs replace earlier ones."""
    latest = {result.name: result for results in runs for result in results}
    return list(latest.values())
