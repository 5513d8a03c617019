"""The verdict in other readings: the checks that an alternative can change, in each alternative.

The checks run in the sandbox's own reading first. What passes there runs again in each alternative,
with the same sandbox and handler. So a failure in an alternative is the alternative's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from checks import lanes, runner
from checks.client import ApiError
from checks.lab import Lab
from checks.lanes import Lane
from checks.model import Alternative, Check, InReading, Outcome, Report, Result
from checks.options import Options
from checks.outputs.progress import Progress


class _KeptLane:
    """A lane that stays open at the end of a run, for the next one."""

    note = ""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._lab: Lab | None = None
        # The alternative of the next run, and whether the run before has failed.
        self.choice: Mapping[str, str] = {}
        self.has_failed = False
        # What has to be undone for the next alternative.
        self._before: Mapping[str, str] = {}
        # As the sandbox was found.
        self.values: Mapping[str, str] = {}

    def open(self) -> Lab:
        """Open the lane at first, and choose the alternative later; raises CannotRun."""
        if self._lab is None:
            self._lab = self._lane.open()
            self.note = self._lane.note
            self.values = self._lab.platform.readings()
        else:
            # The choice is saved with the sandbox as it was before the checks.
            self.back(after_failure=self.has_failed)
            self.choose({**self._before, **self.choice})
            self._before = {name: self.values[name] for name in self.choice}
        return self._lab

    def back(self, *, after_failure: bool = False) -> None:
        """Restore the sandbox."""
        self._lane.back(after_failure=after_failure)

    def choose(self, readings: Mapping[str, str]) -> None:
        """Choose alternatives for all that follows."""
        self._lane.choose(readings)

    def output(self) -> str:
        """Return the end of what the handler printed."""
        return self._lane.output()

    def interrupt(self) -> None:
        """End the lane."""
        self._lane.interrupt()

    def close_lane(self) -> None:
        """Close the lane itself, with the alternatives as they were, unless it has ended."""
        if self._lab is not None and self._before:
            with suppress(ApiError):
                self._lab.platform.choose(self._before)
        self._lane.close()

    def close(self) -> None:
        """Leave the lane open."""


class _Silent:
    """Shows nothing of the checks in an alternative."""

    def started(self, check: Check) -> None:
        """Do nothing."""

    def ended(self, result: Result) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def selected(alternatives: Sequence[Alternative]) -> tuple[str, ...]:
    """Return the ids of the checks that these alternatives can change."""
    return tuple(dict.fromkeys(check for each in alternatives for check in each.checks))


def run(
    options: Options,
    alternatives: Sequence[Alternative],
    progress: Progress,
    told: Callable[[InReading], None],
) -> Report:
    """Run the checks in the sandbox's own reading, then in each alternative; return one report.

    `told` is called with each alternative's results. After an error of the first run, there are
    no others.
    """
    began = time.monotonic()
    lane = _KeptLane(lanes.create(replace(options, jobs=1))[0])
    try:
        report = runner.run(options, progress, [lane])
        results: list[InReading] = []
        for alternative in alternatives:
            if report.error or (results and results[-1].error):
                break
            # One that is in force has been judged.
            if lane.values[alternative.reading] != alternative.value:
                left = options.max_time - (time.monotonic() - began) if options.max_time else 0.0
                asked = replace(options, max_time=left)
                results.append(_in_reading(asked, alternative, report, lane))
                told(results[-1])
    finally:
        lane.close_lane()
    error = next((each.error for each in results if each.error), "")
    seconds = time.monotonic() - began
    return replace(report, readings=tuple(results), seconds=seconds, error=report.error or error)


def _in_reading(
    options: Options, alternative: Alternative, report: Report, lane: _KeptLane
) -> InReading:
    """Run the checks that an alternative can change, of those that have passed."""
    passed = {r.check.id for r in report.results if r.verdict.outcome is Outcome.PASS}
    checks = tuple(each for each in alternative.checks if each in passed)
    if not checks or options.max_time < 0:
        return InReading(alternative)
    lane.choice = {alternative.reading: alternative.value}
    # A trace has the name of its check, and the next alternative would replace it.
    asked = replace(
        options, selected=checks, ignored=(), fail_fast=False, traces=None, measures=False
    )
    found = runner.run(asked, _Silent(), [lane])
    words = ["--readings", alternative.reading]
    results = tuple(
        replace(each, reproduce=f"{each.reproduce.partition(' --select ')[0]} {' '.join(words)}")
        for each in found.results
    )
    lane.has_failed = any(each.verdict.outcome is not Outcome.PASS for each in results)
    return InReading(alternative, results, found.error)
