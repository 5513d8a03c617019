"""How results are shown: in words and symbols, in groups, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from checks.model import Check, InReading, Level, Outcome, Report, Result
from requests_queue.time_format import format_span


class Mark(StrEnum):
    """A result as it is shown; of the failures, only `fail` counts."""

    PASS = "pass"
    FAIL = "fail"
    WARNING = "warning"
    KNOWN = "known"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"

    @property
    def symbol(self) -> str:
        """One character, for streams and pages that can show Unicode."""
        return _SYMBOLS[self][0]

    @property
    def ascii_symbol(self) -> str:
        """One character of ASCII."""
        return _SYMBOLS[self][1]

    def counted(self, count: int) -> str:
        """Return the number of such results in words: `2 warnings`."""
        one, more = _NOUNS[self]
        return f"{count} {one if count == 1 else more}"


_SYMBOLS = {
    Mark.PASS: ("✓", "+"),
    Mark.FAIL: ("✗", "x"),
    Mark.WARNING: ("!", "!"),
    Mark.KNOWN: ("≈", "~"),
    Mark.INCONCLUSIVE: ("?", "?"),
    Mark.SKIPPED: ("-", "-"),
}
_NOUNS = {
    Mark.PASS: ("passed", "passed"),
    Mark.FAIL: ("failed", "failed"),
    Mark.WARNING: ("warning", "warnings"),
    Mark.KNOWN: ("known failure", "known failures"),
    Mark.INCONCLUSIVE: ("inconclusive", "inconclusive"),
    Mark.SKIPPED: ("skipped", "skipped"),
}


def mark(result: Result, strict: bool) -> Mark:
    """Return how a result is shown: a failure counts by its level, and unless it is known.

    A control always counts: without it, nothing of its group is judged.
    """
    if result.verdict.outcome is not Outcome.FAIL:
        return Mark(result.verdict.outcome.value)
    if result.check.is_control:
        return Mark.FAIL
    if result.known_until is not None:
        return Mark.KNOWN
    counting = {Level.MUST, Level.SHOULD} if strict else {Level.MUST}
    return Mark.FAIL if result.check.level in counting else Mark.WARNING


def reading_mark(found: InReading, strict: bool) -> Mark:
    """Return how an alternative of a reading is shown: nobody knows whether it is Connect's."""
    if found.outcome is not Outcome.FAIL:
        return Mark(found.outcome.value)
    return Mark.FAIL if strict else Mark.WARNING


def readings_text(report: Report) -> str:
    """Return `Passes in 24 of 26 alternatives; fails if …`; empty without any."""
    if not report.readings:
        return ""
    by_outcome = {
        outcome: [each for each in report.readings if each.outcome is outcome]
        for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE)
    }
    parts = [f"Passes in {len(by_outcome[Outcome.PASS])} of {len(report.readings)} alternatives"]
    for words, outcome in (("fails if", Outcome.FAIL), ("not judged if", Outcome.INCONCLUSIVE)):
        if found := by_outcome[outcome]:
            parts.append(f"{words} {', '.join(each.alternative.choice for each in found)}")
    return "; ".join(parts) + "."


def marked(report: Report, *marks: Mark) -> list[Result]:
    """Return the results that are shown as one of these."""
    return [result for result in report.results if mark(result, report.strict) in marks]


@dataclass(frozen=True, slots=True)
class Finding:
    """Failures with one cause: the first one's evidence stands for the others too."""

    first: Result
    others: tuple[Result, ...] = ()

    @property
    def text(self) -> str:
        """What was found, in one sentence."""
        return self.first.verdict.cause if self.others else self.first.verdict.text


def findings(report: Report) -> list[Finding]:
    """Return the failures and warnings by cause; those that count come first."""
    by_cause: dict[str, list[Result]] = {}
    for result in (*marked(report, Mark.FAIL), *marked(report, Mark.WARNING)):
        by_cause.setdefault(result.verdict.cause or result.check.id, []).append(result)
    return [Finding(first, tuple(others)) for first, *others in by_cause.values()]


def selected(report: Report) -> list[Result]:
    """Return the results of the selected checks."""
    return [result for result in report.results if not result.is_prerequisite]


def counts(report: Report) -> dict[Mark, int]:
    """Return the number of results of each mark, zeros included."""
    counter = Counter(mark(result, report.strict) for result in selected(report))
    return {each: counter[each] for each in Mark}


def counts_text(report: Report) -> str:
    """Return `57 passed, 1 failed, 4 skipped in 1 min 32 s`."""
    parts = [each.counted(count) for each, count in counts(report).items() if count]
    return f"{', '.join(parts) or 'No results'} in {format_span(report.seconds)}"


def groups(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results by group, in the order in which the groups begin."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.check.group, []).append(result)
    return grouped


def check_groups(checks: Sequence[Check]) -> dict[str, list[Check]]:
    """Return the checks by group, in the order in which the groups begin."""
    grouped: dict[str, list[Check]] = {}
    for check in checks:
        grouped.setdefault(check.group, []).append(check)
    return grouped
