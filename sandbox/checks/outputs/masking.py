"""Mask secrets in all texts of a report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sandbox.checks.masking import mask
from sandbox.checks.model import Exhibit, Report, Result


def mask_report(report: Report, secrets: Collection[str]) -> Report:
    """Return a report whose texts have no secret."""
    return replace(
        report,
        target=mask(report.target, secrets),
        error=mask(report.error, secrets),
        output=mask(report.output, secrets),
        notes=tuple(mask(note, secrets) for note in report.notes),
        results=tuple(mask_result(result, secrets) for result in report.results),
    )


def mask_result(result: Result, secrets: Collection[str]) -> Result:
    """Return a result whose texts have no secret."""
    evidence = tuple(
        Exhibit(mask(each.title, secrets), tuple(mask(line, secrets) for line in each.lines))
        for each in result.verdict.evidence
    )
    verdict = replace(result.verdict, text=mask(result.verdict.text, secrets), evidence=evidence)
    return replace(result, verdict=verdict, reproduce=mask(result.reproduce, secrets))
