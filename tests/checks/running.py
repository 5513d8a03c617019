"""Run checks of a handler of `tests/checks/handlers`, and compare with the table of variants."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from unittest import mock

from checks import lab, runner
from checks.catalog import CHECKS as CATALOG
from checks.model import Check, InReading, Need, Outcome, Report, Result
from checks.options import EVENT, VALIDATOR, Options
from checks.outputs.progress import Progress
from tests.checks.variants import Variant
from tests.processes import ROOT

# The checks of handlers, without those of extensions.
CHECKS = tuple(check for check in CATALOG if Need.EXTENSION not in check.needs)
# What the reference handler, and so each variant, refuses.
INVALID = {"domain": "gmail.com"}
# Each of these handlers starts within a second, or never, and none polls: that is ruled out in less
# time than for a handler that nobody knows.
START, AGAIN = 5.0, 0.3
# Seconds for all moments of the checks of turn, and after SIGTERM.
BUDGET, GRACE = 6.0, 2.0
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
    progress: Progress | None = None,
    budget: float = BUDGET,
) -> Report:
    """Run checks in one lane; without `selected` all of the type."""
    command = shlex.join([sys.executable, str(ROOT / "tests/checks/handlers"), handler])
    options = Options(
        run=command,
        type=VALIDATOR if is_validator else EVENT,
        selected=tuple(selected),
        invalid=INVALID if is_validator else {},
        start_timeout=START,
        jobs=1,
        budget=budget,
        grace=GRACE,
    )
    with mock.patch.object(lab, "_AGAIN", AGAIN):
        return runner.run(options, progress or Quiet())


def run_until_judged(
    handler: str,
    selected: Iterable[str],
    *,
    is_validator: bool,
    progress: Progress | None = None,
) -> Report:
    """Run checks, and at most five times more those that the machine was too slow to judge."""
    report = run(handler, selected, is_validator=is_validator, progress=progress)
    for _ in range(5):
        if not (again := not_judged(report)):
            break
        repeated = run(handler, again, is_validator=is_validator, progress=progress).results
        later = {result.check.id: result for result in repeated if result.check.id in again}
        results = tuple(later.get(result.check.id, result) for result in report.results)
        report = replace(report, results=results)
    return report


def run_again_if_slow(options: Options) -> Report:
    """Run checks, and all of them at most twice more if the machine was too slow to judge."""
    for _ in range(3):
        report = runner.run(options, Quiet())
        if not not_judged(report):
            break
    assert report.results, f"{report.error}\n{report.output}"
    return report


def not_judged(report: Report | InReading) -> list[str]:
    """Return the ids of checks for which the machine was too slow; with a control, its group."""
    slow = {result.check for result in report.results if _is_slow(result)}
    groups = {check.group for check in slow if check.is_control}
    checks = [result.check for result in report.results]
    return [check.id for check in checks if check in slow or check.group in groups]


def _is_slow(result: Result) -> bool:
    verdict = result.verdict
    return verdict.outcome is Outcome.INCONCLUSIVE and any(slow in verdict.text for slow in SLOW)


def outcomes(report: Report) -> dict[str, str]:
    """Return the outcomes by id; a check that was skipped because of its control has failed.

    A control that was skipped itself says that the handler can't be judged.
    """
    controls = [result for result in report.results if result.check.is_control]
    judged = Outcome.PASS, Outcome.SKIPPED
    unjudged = {r.check.group for r in controls if r.verdict.outcome not in judged}
    return {
        result.check.id: str(_outcome(result, result.check.group in unjudged))
        for result in report.results
    }


def _outcome(result: Result, is_unjudged: bool) -> Outcome:
    is_skipped = result.verdict.outcome is Outcome.SKIPPED
    is_available = not result.check.needs & {Need.DEEP}
    return Outcome.FAIL if is_skipped and is_unjudged and is_available else result.verdict.outcome


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
