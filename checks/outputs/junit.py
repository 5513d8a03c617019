"""The results of checks as JUnit XML, which CI services show: a test suite per group.

The document is valid by the schema of Jenkins (junit-10.xsd of its xUnit plugin). A failure that
doesn't count, and an inconclusive check, are skipped tests with a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree

from checks.model import Report, Result
from checks.outputs.exit_code import ExitCode, conclude
from checks.outputs.marks import Mark, findings, groups, mark
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
        _suite(report, group, results, same) for group, results in groups(report.results).items()
    ]
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


def _suite(
    report: Report, group: str, results: list[Result], same: Mapping[str, str]
) -> ElementTree.Element:
    shown = [mark(result, report.strict) for result in results]
    failures, passed = shown.count(Mark.FAIL), shown.count(Mark.PASS)
    suite = _empty_suite(report, group, sum(result.seconds for result in results))
    suite.attrib |= {
        "tests": str(len(results)),
        "failures": str(failures),
        "skipped": str(len(results) - failures - passed),
    }
    suite.extend(
        _case(result, each, same.get(result.check.id, ""))
        for result, each in zip(results, shown, strict=True)
    )
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


def _case(result: Result, shown: Mark, same_as: str) -> ElementTree.Element:
    check = result.check
    attributes = {
        "name": one_line(check.id),
        "classname": one_line(check.group),
        "time": f"{result.seconds:.3f}",
    }
    case = ElementTree.Element("testcase", attributes)
    if shown is Mark.FAIL:
        failure = {"message": one_line(result.verdict.text), "type": check.level.value}
        ElementTree.SubElement(case, "failure", failure).text = _details(result, same_as)
    elif shown is not Mark.PASS:
        ElementTree.SubElement(case, "skipped", {"message": _reason(result, shown)})
        if shown in (Mark.WARNING, Mark.KNOWN):
            ElementTree.SubElement(case, "system-out").text = _details(result, same_as)
    return case


def _reason(result: Result, shown: Mark) -> str:
    label = {
        Mark.WARNING: f"failed, not counted ({result.check.level.value})",
        Mark.KNOWN: f"known failure until {result.known_until}",
    }.get(shown, shown.value)
    return one_line(f"{label}: {result.verdict.text}")


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
