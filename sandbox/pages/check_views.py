"""Runs of checks as pages show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Max

from checks.model import Report, Result
from checks.outputs import json_report, marks
from checks.outputs.exit_code import Conclusion, ExitCode, conclude
from checks.outputs.json_report import BadReport
from checks.outputs.marks import Finding, Mark
from checks.outputs.texts import evidence_lines
from requests_queue.time_format import format_span
from sandbox.models import CheckRun

# The classes of badges.
_TONES = {Mark.PASS: "good", Mark.FAIL: "bad"}
_VERDICT_TONES = {ExitCode.PASS: "good", ExitCode.FAIL: "bad"}
_WORDS = {CheckRun.RUNNING: "Running", CheckRun.FAILED: "Could not run"}


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a color."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ExhibitView:
    """A piece of evidence as one text."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """The result of a check; the first one of a finding is open."""

    result: Result
    mark: Mark
    finding: Finding | None = None

    @property
    def badge(self) -> Badge:
        return _badge(self.mark)

    @property
    def is_open(self) -> bool:
        """Whether the details are shown at once."""
        return self.finding is not None

    @property
    def duration(self) -> str:
        """Return how long it took, empty if it was not run."""
        return format_span(self.result.seconds) if self.result.seconds else ""

    @property
    def evidence(self) -> list[ExhibitView]:
        exhibits = self.result.verdict.evidence
        return [ExhibitView(each.title, "\n".join(evidence_lines(each))) for each in exhibits]


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """The result of a check during a run."""

    check: str
    title: str
    level: str
    badge: Badge
    text: str
    duration: str


class RunView:
    """A run as pages show it; the report is read only if it is shown."""

    def __init__(self, run: CheckRun) -> None:
        self.run = run

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.run.state == CheckRun.RUNNING

    @property
    def badge(self) -> Badge:
        """Return the verdict, or the state of a run without one."""
        if self.run.state == CheckRun.FINISHED:
            code = ExitCode(self.run.exit_code if self.run.exit_code in (0, 1) else 2)
            return Badge(code.word, _VERDICT_TONES.get(code, ""))
        if self.is_running:
            return Badge("Ending" if self.run.is_cancelled else "Running", "busy")
        return Badge(_WORDS.get(self.run.state, "Cancelled"))

    @property
    def done(self) -> int:
        """Return how many checks have a result."""
        return len(self._results)

    @property
    def total(self) -> int:
        """Return how many checks it consists of, 0 while that is unknown."""
        return len(self.run.progress.get("checks", []))

    @property
    def current(self) -> str:
        """Return the ids of the checks that run now."""
        return ", ".join(self.run.progress.get("running", []))

    @property
    def counts(self) -> str:
        """Return `12 passed, 1 failed`."""
        number = Counter(each["mark"] for each in self._results)
        return ", ".join(each.counted(number[each]) for each in Mark if number[each])

    @property
    def rows(self) -> list[ProgressRow]:
        """Return the results so far, the latest first."""
        return [_progress_row(each) for each in reversed(self._results)]

    @property
    def duration(self) -> str:
        """Return how long it took, or has taken so far."""
        end = self.run.ended_at or datetime.now(UTC)
        return format_span(max(timedelta(seconds=1), end - self.run.started_at).total_seconds())

    @property
    def settings(self) -> str:
        """Return the options that differ from the defaults."""
        options = self.run.options
        parts = [
            ", ".join(options.get("select", [])) or "all checks",
            f"seed {options.get('seed', 0)}",
            "SHOULD counts" if options.get("strict") else "",
            "deep" if options.get("deep") else "",
            *(f"{name}={value}" for name, value in options.get("invalid", {}).items()),
        ]
        return " · ".join(filter(None, parts))

    @cached_property
    def report(self) -> Report | None:
        """Return the report, None if there is none, or if it is one of another version."""
        try:
            return json_report.read(self.run.report) if self.run.report else None
        except BadReport:
            return None

    @property
    def conclusion(self) -> Conclusion | None:
        """Return the verdict of the report."""
        return conclude(self.report) if self.report else None

    @property
    def groups(self) -> list[tuple[str, list[ResultView]]]:
        if self.report is None:
            return []
        grouped = marks.groups(self.report.results)
        return [(name, list(self._views(results))) for name, results in grouped.items()]

    @property
    def problems(self) -> list[ResultView]:
        """Return the first failure or warning of each cause."""
        return [view for _, views in self.groups for view in views if view.is_open]

    def _views(self, results: Iterable[Result]) -> Iterable[ResultView]:
        if self.report is None:
            return []
        strict = self.report.strict
        firsts = {each.first.check.id: each for each in marks.findings(self.report)}
        return (
            ResultView(each, marks.mark(each, strict), firsts.get(each.check.id))
            for each in results
        )

    @property
    def _results(self) -> Sequence[dict[str, Any]]:
        results: Sequence[dict[str, Any]] = self.run.progress.get("results", [])
        return results


def latest(webhooks: Sequence[str]) -> dict[str, RunView]:
    """Return the last run of each webhook that has one, without reports; one statement."""
    rows = CheckRun.objects.filter(webhook_id__in=webhooks).order_by()
    newest = rows.values("webhook_id").annotate(last=Max("pk")).values("last")
    return {
        row.webhook_id: RunView(row)
        for row in CheckRun.objects.filter(pk__in=newest).defer("report")
    }


def _badge(mark: Mark) -> Badge:
    return Badge(f"{mark.symbol} {mark.value}", _TONES.get(mark, ""))


def _progress_row(result: dict[str, Any]) -> ProgressRow:
    duration = format_span(result["seconds"]) if result["seconds"] else ""
    return ProgressRow(
        result["check"],
        result["title"],
        result["level"],
        _badge(Mark(result["mark"])),
        result["text"],
        duration,
    )
