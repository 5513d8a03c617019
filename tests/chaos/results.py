"""Results of a run: as a table, as JSON, and as the table of `docs/reliability.md`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.case import PASSED, VOID, Result
from tests.chaos.faults import DISTRIBUTED, EMBEDDED
from tests.chaos.invariants import API_LIMIT
from tests.processes import ROOT

FOLDER = ROOT / "var" / "chaos"
# The run that the page shows.
PUBLISHED = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- From here to the next such line, tests.chaos writes this page. -->\n"
END = "<!-- The end of what tests.chaos writes. -->\n"
_COLUMNS = (
    "Case", "Set-up", "Deliveries", "In flight", "Repeats", "API calls", "Refused", "Slowest call",
    "Deliverable after", "Result",
)  # fmt: skip


@dataclass
class Run:
    """All results of a run."""

    started: str
    machine: str
    size: str
    results: list[Result] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Return the file of the run."""
        return FOLDER / f"{self.started.replace(':', '')}-{self.size}.json"

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def new_run(size: str) -> Run:
    """Return a run without results that starts now."""
    return Run(_now(), f"{os.cpu_count()} cores, Python {platform.python_version()}", size)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def stamp(result: Result) -> Result:
    """Note in the result when it was measured, at which commit, and the load of the machine."""
    result.at, result.load = _now(), round(os.getloadavg()[0], 1)
    result.commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return result


def merged(old: Run, new: Run) -> Run:
    """Return the new run with the old results of cases that it doesn't have, in the usual order."""
    by_case = {result.case: result for result in (*old.results, *new.results)}
    order = [name for name in (DISTRIBUTED | EMBEDDED) if name in by_case]
    return replace(new, results=[by_case[name] for name in order])


def load(path: Path) -> Run:
    """Read a run."""
    content = json.loads(path.read_text())
    content["results"] = [Result(**row) for row in content["results"]]
    return Run(**content)


def cells(result: Result) -> tuple[str, ...]:
    """Return a row of the table; a case that could not run has its outcome only."""
    if not result.deliveries:
        return (result.case, result.setup, *["–"] * (len(_COLUMNS) - 3), result.outcome)
    return (
        result.case,
        result.setup,
        f"{result.deliveries:,}",
        # At a kill also what was answered, and not stored yet.
        str(max(result.in_flight, result.lost)),
        str(result.repeats),
        f"{result.calls:,}",
        str(result.refused),
        _slowest(result),
        "never" if result.deliverable is None else f"{result.deliverable:.1f} s",
        result.outcome,
    )


def _slowest(result: Result) -> str:
    """Return the duration of the slowest call, with its own share where the difference matters."""
    text = f"{result.slowest_call:.1f} s"
    if result.slowest_call > API_LIMIT:
        return f"{text} ({result.slowest_own_call:.1f} s with a CPU)"
    return text


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    rows = [_COLUMNS, *map(cells, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    yield lines[0]
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield from lines[1:]


def problems(results: Sequence[Result]) -> Iterator[str]:
    """Yield what did not hold, by case, as Markdown."""
    for result in results:
        for violation in result.violations:
            yield f"- **{result.case}** (seed {result.seed}): {violation}"
        if result.outcome == VOID:
            yield f"- **{result.case}**: void, because the fault hit no request in flight."


def updated(page: str, run: Run) -> str:
    """Return the page with its generated part written anew."""
    before, _, rest = page.partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise SystemExit(f"{PAGE.name} lacks the two lines around its generated part.")
    return before + BEGIN + "".join(f"{line}\n" for line in _generated(run)) + END + after


def _generated(run: Run) -> Iterator[str]:
    dates = sorted({result.at[:10] for result in run.results})
    loads = [result.load for result in run.results]
    passed = sum(result.outcome == PASSED for result in run.results)
    yield ""
    yield f"{' and '.join(dates)}, {run.machine}, load of the machine {min(loads)} to {max(loads)}:"
    yield f"{passed} of {len(run.results)} cases passed."
    yield ""
    yield from table(run.results)
    if found := list(problems(run.results)):
        yield from ("", "What did not hold:", "", *found)
    cases = DISTRIBUTED | EMBEDDED
    if missing := cases.keys() - {result.case for result in run.results}:
        yield from ("", f"No published result yet: {', '.join(sorted(missing))}.")
    yield from ("", "What happens in each case:", "")
    for name, fault in cases.items():
        yield f"- **{name}**: {fault.text}."
    yield ""
