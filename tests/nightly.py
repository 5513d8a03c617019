"""`make nightly`: everything that takes too long for `make test`, in parts that can be resumed.

A run writes `var/nightly/<time>-<commit>.json` after each part: date, commit, and the result and
seconds of the parts. A run that was interrupted is resumed by the next one for the same commit;
parts that passed are not repeated. The output of each part is in a file of its own beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.processes import ROOT, commit

FOLDER = ROOT / "var" / "nightly"
PASSED, FAILED = "passed", "failed"
PYTEST = ("-m", "pytest", "-n", "auto", "--dist", "worksteal")
# The files with tests that Hypothesis generates.
GENERATED = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "tests").rglob("test_*.py")
    if "hypothesis" in path.read_text()
)
ALL_ON_POSTGRES = ("tests/queue", "tests/webhooks", "tests/extensions")
# The files of which some tests run on PostgreSQL each time.
ON_POSTGRES = sorted(
    {line.partition("::")[0] for line in (ROOT / "tests/on_postgres.txt").read_text().splitlines()}
)
# It keeps all cores busy: tests beside it would time out, or judge nothing.
BUSY = "tests/checks/test_matrix.py::test_verdicts_are_the_same_each_time"
# Each part and the arguments of Python that run it.
PARTS: dict[str, tuple[str, ...]] = {
    "tests": (*PYTEST, "-m", "nightly", "--deselect", BUSY),
    "tests on busy cores": ("-m", "pytest", "-m", "nightly", BUSY),
    "postgres": (*PYTEST, "--postgres", *ALL_ON_POSTGRES, *ON_POSTGRES),
    "hypothesis": (*PYTEST, "--hypothesis-profile=deep", *GENERATED),
    "mutations": ("-m", "tests.mutations"),
    "checks-matrix": ("-m", "tests.checks.matrix"),
    "chaos": ("-m", "tests.chaos"),
    "screenshots": ("-m", "tests.screenshots"),
    **{
        f"benchmarks {name}": ("-m", "benchmarks", name)
        for name in ("deliveries", "database", "sandbox")
    },
}


@dataclass
class Part:
    """One part of a run: its result is empty until it has ended."""

    name: str
    result: str = ""
    seconds: int = 0
    ended: str = ""


@dataclass
class Report:
    """A run, as its file has it."""

    commit: str
    started: str
    parts: list[Part] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.started.replace(':', '')}-{self.commit}.json"

    def save(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(self.path)


def main() -> int:
    """Run the parts that have not passed for this commit, and print the result of all."""
    options = _options()
    report = (None if options.again else _unfinished()) or Report(commit(), _now())
    for name in options.parts or PARTS:
        _run(report, name)
    for part in report.parts:
        print(f"{part.result:8} {part.seconds:6} s  {part.name}")
    print(f"{report.started}, commit {report.commit}: {report.path}")
    return int(any(part.result != PASSED for part in report.parts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.nightly", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}, or all")
    parser.add_argument("--again", action="store_true", help="also repeat parts that passed")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    return options


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _unfinished() -> Report | None:
    """Return the latest run of this commit unless all of its parts have passed; none of a tree
    with changes."""
    name = commit()
    for path in sorted(FOLDER.glob("*.json"), reverse=True):
        report = json.loads(path.read_text())
        if report["commit"] == name and not name.endswith("+changes"):
            parts = [Part(**part) for part in report["parts"]]
            passed = {part.name for part in parts if part.result == PASSED}
            return None if passed >= set(PARTS) else Report(name, report["started"], parts)
    return None


def _run(report: Report, name: str) -> None:
    part = next((part for part in report.parts if part.name == name), None)
    if part is None:
        part = Part(name)
        report.parts.append(part)
    if part.result == PASSED:
        print(f"{name}: passed already, in {part.seconds} s", flush=True)
        return
    output = report.path.with_name(f"{report.path.stem}-{name.replace(' ', '-')}.log")
    print(f"{name}: running, output in {output}", flush=True)
    report.save()
    start = time.monotonic()
    with output.open("w") as file:
        command = [sys.executable, *PARTS[name]]
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    part.seconds = round(time.monotonic() - start)
    part.result, part.ended = (FAILED if done.returncode else PASSED), _now()
    report.save()


if __name__ == "__main__":
    sys.exit(main())
