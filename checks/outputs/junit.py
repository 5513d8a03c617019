"""The results of checks as JUnit XML, which CI services show: a test suite per group.

Alternatives of readings are a suite of their own, with a test for each.

The document is valid by the schema of Jenkins (junit-10.xsd of its xUnit plugin). A failure that
doesn't count, and an inconclusive check, are skipped tests with a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from checks.model import InReading, Report, Result
from checks.outputs.exit_code import ExitCode, conclude
from checks.outputs.marks import Mark, findings, groups, mark, reading_mark
from checks.outputs.texts import evidence_lines, one_line
from requests_queue.safe_text import visible

_NAME = "connect-sim check"


def render(report: Report) -> str:
    """Return the XML document; characters that XML 1.0 forbids are replaced."""
    same = {
        other.check.id: finding.first.check.id
        for finding in findings(report)
        for other in finding.others
    }
    suites = [
        _suite(
            report,
            group,
            [_of_result(each, report.strict, same.get(each.check.id, "")) for each in results],
        )
        for group, results in groups(report.results).items()
    ]
    if report.readings:
        cases = [_of_reading(each, report.strict) for each in report.readings]
        suites.append(_suite(report, "readings", cases))
    conclusion = conclude(report)
    if conclusion.code is ExitCode.NO_VERDICT:
        suites.append(_broken_run(report, conclusion.text))
    root = ElementTree.Element("testsuites", {"name": _NAME, **_totals(suites)})
    root.extend(suites)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _totals(suites: list[ElementTree.Element]) -> dict[str, str]:
    # The schema of Jenkins has no total of skipped tests.
    sums = {
        key: str(sum(int(suite.attrib[key]) for suite in suites))
        for key in ("tests", "failures", "errors")
    }
    return {**sums, "time": f"{sum(float(suite.attrib['time']) for suite in suites):.3f}"}


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case; `type` is that of a failure that counts, `reason` says why one does not."""

    name: str
    seconds: float
    mark: Mark
    type: str
    reason: str
    text: str
    details: str


def _of_result(result: Result, strict: bool, same_as: str) -> _Case:
    shown, level = mark(result, strict), result.check.level.value
    reason = {
        Mark.WARNING: f"failed, not counted ({level})",
        Mark.KNOWN: f"known failure until {result.known_until}",
    }.get(shown, shown.value)
    details, text = _details(result, same_as), result.verdict.text
    return _Case(result.check.id, result.seconds, shown, level, reason, text, details)


def _of_reading(found: InReading, strict: bool) -> _Case:
    shown = reading_mark(found, strict)
    reason = "failed, not counted (reading)" if shown is Mark.WARNING else shown.value
    seconds = sum(result.seconds for result in found.results)
    details = "\n\n".join(_details(each, "") for each in found.failures)
    choice, text = found.alternative.choice, found.alternative.text
    return _Case(choice, seconds, shown, "reading", reason, text, details)


def _suite(report: Report, name: str, cases: Sequence[_Case]) -> ElementTree.Element:
    marks = [case.mark for case in cases]
    failures, passed = marks.count(Mark.FAIL), marks.count(Mark.PASS)
    suite = _empty_suite(report, name, sum(case.seconds for case in cases))
    suite.attrib |= {
        "tests": str(len(cases)),
        "failures": str(failures),
        "skipped": str(len(cases) - failures - passed),
    }
    suite.extend(_element(case, name) for case in cases)
    return suite


def _empty_suite(report: Report, name: str, seconds: float) -> ElementTree.Element:
    # The schema's dates have no time zone.
    at = datetime.fromisoformat(report.started_at).astimezone(UTC)
    attributes = {
        "name": one_line(name),
        "tests": "0",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
        "time": f"{seconds:.3f}",
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}",
    }
    return ElementTree.Element("testsuite", attributes)


def _element(case: _Case, suite: str) -> ElementTree.Element:
    attributes = {
        "name": one_line(case.name),
        "classname": one_line(suite),
        "time": f"{case.seconds:.3f}",
    }
    element = ElementTree.Element("testcase", attributes)
    if case.mark is Mark.FAIL:
        failure = {"message": one_line(case.text), "type": case.type}
        ElementTree.SubElement(element, "failure", failure).text = case.details
    elif case.mark is not Mark.PASS:
        message = one_line(f"{case.reason}: {case.text}")
        ElementTree.SubElement(element, "skipped", {"message": message})
        if case.mark in (Mark.WARNING, Mark.KNOWN):
            ElementTree.SubElement(element, "system-out").text = case.details
    return element


def _details(result: Result, same_as: str) -> str:
    """Return all texts; the evidence of a failure whose cause is that of another is there."""
    check = result.check
    evidence = (
        [f"Same cause as {same_as}: {result.verdict.cause}"]
        if same_as
        else [
            line
            for exhibit in result.verdict.evidence
            for line in (
                f"{one_line(exhibit.title)}:",
                *(f"  {each}" for each in evidence_lines(exhibit)),
            )
        ]
    )
    lines = [
        f"{check.id} ({check.level.value}): {check.title}",
        result.verdict.text,
        f"Sent: {check.sends}",
        f"Expected: {check.expects}",
        *evidence,
        f"Fix: {check.fix}",
        f"Reproduce: {result.reproduce}",
    ]
    return visible("\n".join(lines))


def _broken_run(report: Report, problem: str) -> ElementTree.Element:
    """Return a suite with one error, so that a run without a verdict does not look green."""
    suite = _empty_suite(report, "run", 0)
    suite.attrib |= {"tests": "1", "errors": "1"}
    case = ElementTree.SubElement(
        suite, "testcase", {"name": "run", "classname": "run", "time": "0.000"}
    )
    error = ElementTree.SubElement(
        case, "error", {"message": one_line(problem), "type": "no verdict"}
    )
    error.text = visible(f"{problem}\n{report.output}".rstrip("\n"))
    return suite
