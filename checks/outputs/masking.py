"""Mask secrets in all texts of a report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from checks.model import Exhibit, Report, Result
from requests_queue.redaction import Redaction


def mask_report(report: Report, secrets: Collection[str]) -> Report:
    """Return a report whose texts have no secret."""
    mask = Redaction(secrets).text
    return replace(
        report,
        target=mask(report.target),
        error=mask(report.error),
        output=mask(report.output),
        notes=tuple(map(mask, report.notes)),
        results=tuple(mask_result(result, secrets) for result in report.results),
    )


def mask_result(result: Result, secrets: Collection[str]) -> Result:
    """Return a result whose texts have no secret."""
    mask = Redaction(secrets).text
    evidence = tuple(
        Exhibit(mask(each.title), tuple(map(mask, each.lines))) for each in result.verdict.evidence
    )
    verdict = replace(result.verdict, text=mask(result.verdict.text), evidence=evidence)
    reproduce, trace = mask(result.reproduce), mask(result.trace)
    return replace(result, verdict=verdict, reproduce=reproduce, trace=trace)
