"""Run checks of a handler of `tests/checks/handlers`, and compare with the table of variants."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from sandbox.checks import runner
from sandbox.checks.model import Check, Need, Outcome, Report, Result
from sandbox.checks.options import EVENT, VALIDATOR, Options
from tests.checks.variants import Variant
from tests.processes import ROOT

# What the reference handler, and so each variant, refuses.
INVALID = {"domain": "gmail.com"}
# Each of these handlers starts within a second, or never.
START = 5.0
# In the texts of verdicts that there is none because of the machine.
SLOW = ("The machine is too slow to judge", "other programs left this machine too little CPU time")


class Quiet:
    """Follows a run without a word."""

    def started(self, check: Check) -> None:
        """Nothing."""

    def ended(self, result: Result) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def run(
    handler: str,
    selected: Iterable[str] = (),
    *,
    is_validator: bool = False,
    progress: runner.Progress | None = None,
) -> Report:
    """Run checks in one lane; without `selected` all of the type."""
    command = shlex.join([sys.executable, str(ROOT / "tests/checks/handlers"), handler])
    options = Options(
        run=command, type=VALIDATOR if is_validator else EVENT, selected=tuple(selected),
        invalid=INVALID if is_validator else {}, start_timeout=START, jobs=1,
    )  # fmt: skip
    return runner.run(options, progress or Quiet())


def run_until_judged(
    handler: str,
    selected: Iterable[str],
    *,
    is_validator: bool,
    progress: runner.Progress | None = None,
) -> Report:
    """Run checks as `until_judged`."""
    selected = tuple(selected)
    return until_judged(
        lambda: run(handler, selected, is_validator=is_validator, progress=progress)
    )


def until_judged(run: Callable[[], Report]) -> Report:
    """Run checks, at most three times, until none says that the machine is too slow to judge."""
    for _ in range(3):
        report = run()
        verdicts = [result.verdict for result in report.results]
        if not any(v.outcome is Outcome.INCONCLUSIVE and _is_slow(v.text) for v in verdicts):
            break
    return report


def _is_slow(text: str) -> bool:
    return any(slow in text for slow in SLOW)


def outcomes(report: Report) -> dict[str, str]:
    """Return the outcomes by id; a check that was skipped because of its control has failed."""
    return {result.check.id: _outcome(result) for result in report.results}


def _outcome(result: Result) -> str:
    outcome = str(result.verdict.outcome)
    is_available = not result.check.needs & {Need.DEEP}
    return str(Outcome.FAIL) if outcome == "skipped" and is_available else outcome


def surprises(variant: Variant, found: dict[str, str]) -> list[str]:
    """Return in which points outcomes differ from the table; ids that weren't run don't count."""
    expected = set(variant.breaks)
    missed = [
        f"{id} is {found[id]} (expected fail)"
        for id in sorted(expected & found.keys())
        if found[id] not in (Outcome.FAIL, Outcome.SKIPPED)
    ]
    unexpected = [
        f"{id} is {outcome} (expected pass)"
        for id, outcome in found.items()
        if outcome not in (Outcome.PASS, Outcome.SKIPPED)
        and id not in expected
        and not any(fnmatchcase(id, glob) for glob in variant.may_fail)
    ]
    return missed + unexpected


def describe(report: Report, wrong: Iterable[str]) -> str:
    """Return a message for a failed test: what surprised, with the verdicts' texts."""
    verdicts = {result.check.id: result.verdict.text for result in report.results}
    lines = [f"{each}: {verdicts.get(each.split()[0], '')}" for each in wrong]
    return "\n".join([*lines, report.error, report.output[-1000:]])
