"""The verdict on a whole run, as an exit code and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sandbox.checks.model import Outcome, Report
from sandbox.checks.outputs.marks import Mark, counts, marked


class ExitCode(IntEnum):
    """How a run ended; also the exit codes of `connect-sim check`."""

    PASS = 0
    FAIL = 1
    NO_VERDICT = 2

    @property
    def word(self) -> str:
        """The first word of the verdict."""
        return {0: "Pass", 1: "Fail", 2: "No verdict"}[self.value]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict on the handler; `text` is one sentence."""

    code: ExitCode
    text: str


def conclude(report: Report) -> Conclusion:
    """Return the verdict; there is none if only a part of the selected checks could be judged.

    So an error, or a control that did not pass, comes before failures.
    """
    if problem := missing_verdict(report):
        return Conclusion(ExitCode.NO_VERDICT, problem)
    if controls := failed_controls(report):
        return Conclusion(ExitCode.NO_VERDICT, _without_controls(controls))
    number, total = counts(report), len(report.results)
    checks = "check" if total == 1 else "checks"
    if number[Mark.FAIL]:
        return Conclusion(ExitCode.FAIL, f"{number[Mark.FAIL]} of {total} {checks} failed.")
    uncounted = [each.counted(number[each]) for each in (Mark.WARNING, Mark.KNOWN) if number[each]]
    text = f"{number[Mark.PASS]} of {total} {checks} passed"
    end = f"; not counted: {', '.join(uncounted)}." if uncounted else ", none failed."
    return Conclusion(ExitCode.PASS, text + end)


def missing_verdict(report: Report) -> str:
    """Return why the run ended early, or judged nothing; empty if neither is so."""
    if report.error:
        return report.error
    if not report.results:
        return "No check was run."
    # A control that passed says nothing about the checks that it is the control of.
    results = [each for each in report.results if not each.check.is_control] or report.results
    judged = {Outcome.PASS, Outcome.FAIL}
    if not failed_controls(report) and not any(each.verdict.outcome in judged for each in results):
        return "No check was judged: all were skipped or inconclusive."
    return ""


def failed_controls(report: Report) -> list[str]:
    """Return the ids of the controls that failed or were inconclusive."""
    wrong = marked(report, Mark.FAIL, Mark.INCONCLUSIVE)
    return [each.check.id for each in wrong if each.check.is_control]


def exit_code(report: Report) -> int:
    """Return 0 for a pass, 1 for a failure that counts, 2 if there is no verdict."""
    return int(conclude(report).code)


def _without_controls(controls: list[str]) -> str:
    group = "its group" if len(controls) == 1 else "their groups"
    return f"{', '.join(controls)} did not pass, so nothing else of {group} was judged."
