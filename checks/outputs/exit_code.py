"""The verdict on a whole run, as an exit code and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from checks.model import Level, Outcome, Report
from checks.outputs.marks import (
    Mark,
    counts,
    mark,
    marked,
    reading_mark,
    readings_text,
    selected,
)


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
    """Return the verdict; there is none if the run ended early, or judged too little.

    A failure that counts is a failure, whatever could not be judged beside it.
    """
    if report.error:
        return Conclusion(ExitCode.NO_VERDICT, report.error)
    number, total = counts(report), len(selected(report))
    checks = "check" if total == 1 else "checks"
    failed = [each for each in marked(report, Mark.FAIL) if not each.check.is_control]
    others = f" {text}" if (text := readings_text(report)) else ""
    if failed:
        causes = {each.verdict.cause or each.check.id for each in failed}
        why = f", for {len(causes)} {'cause' if len(causes) == 1 else 'causes'}"
        why = why if len(causes) < len(failed) else ""
        return Conclusion(ExitCode.FAIL, f"{len(failed)} of {total} {checks} failed{why}.{others}")
    if problem := _missing_verdict(report):
        return Conclusion(ExitCode.NO_VERDICT, problem)
    open_ids = [
        each.check.id
        for each in selected(report)
        if mark(each, report.strict) is Mark.INCONCLUSIVE and each.check.level is Level.MUST
    ]
    musts = "MUST" if len(open_ids) == 1 else "MUSTs"
    not_said = f"{len(open_ids)} {musts} not judged: {', '.join(open_ids)}" if open_ids else ""
    if not_said and report.strict:
        return Conclusion(ExitCode.NO_VERDICT, f"{not_said}.")
    skipped = [Mark.SKIPPED.counted(number[Mark.SKIPPED])] if number[Mark.SKIPPED] else []
    uncounted = [each.counted(number[each]) for each in (Mark.WARNING, Mark.KNOWN) if number[each]]
    parts = [", ".join([f"{number[Mark.PASS]} of {total} {checks} passed", *skipped])]
    parts += [f"not counted: {', '.join(uncounted)}"] if uncounted else []
    parts += [not_said] if not_said else []
    end = "." if len(parts) > 1 else ", none failed."
    has_failed = any(reading_mark(each, report.strict) is Mark.FAIL for each in report.readings)
    code = ExitCode.FAIL if has_failed else ExitCode.PASS
    return Conclusion(code, "; ".join(parts) + end + others)


def _missing_verdict(report: Report) -> str:
    """Return why too little was judged for a verdict; empty if it is enough."""
    if not report.results:
        return "No check was run."
    wrong = marked(report, Mark.FAIL, Mark.INCONCLUSIVE)
    if controls := [each.check.id for each in wrong if each.check.is_control]:
        group = "its group" if len(controls) == 1 else "their groups"
        others = [each for each in report.results if each.check.id not in controls]
        is_all = all(each.verdict.outcome is Outcome.SKIPPED for each in others)
        of = "" if is_all and others else f" of {group}"
        return f"{', '.join(controls)} did not pass, so nothing else{of} was judged."
    # A control that passed says nothing about the checks that it is the control of.
    results = [each for each in report.results if not each.check.is_control] or report.results
    judged = {Outcome.PASS, Outcome.FAIL}
    if not any(each.verdict.outcome in judged for each in results):
        return "No check was judged: all were skipped or inconclusive."
    return ""


def exit_code(report: Report) -> int:
    """Return 0 for a pass, 1 for a failure that counts, 2 if there is no verdict."""
    return int(conclude(report).code)
