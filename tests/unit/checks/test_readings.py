"""Results in other readings: the verdict, and how reports show them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import jsonschema
import pytest

from checks import readings
from checks.catalog import CHECKS
from checks.model import Alternative, InReading, Outcome, Report
from checks.outputs import exit_code, github, html, json_report, junit, terminal
from sandbox.readings import registry
from tests.html import parse
from tests.unit.checks.reports import FAIL, INCONCLUSIVE, PASS, report, result

HEADER = Alternative("jwt_header", "authorization", "Only one header.", ("auth.no_header",))
PAGE = Alternative("default_page", "10", "Short pages.", ("auth.no_header",))
ORDER = Alternative("key_order", "reversed", "Another order.")


def judged(**fields: object) -> Report:
    """Return a report that passes, with an alternative of each outcome."""
    found = (
        InReading(HEADER, (result(PASS),)),
        InReading(PAGE, (result(FAIL),)),
        InReading(ORDER),
    )
    return report(result(PASS), readings=found, **fields)


def test_verdict_names_the_alternatives_in_which_the_handler_fails() -> None:
    conclusion = exit_code.conclude(judged())
    assert conclusion.code == 0
    assert conclusion.text.endswith(
        "Passes in 1 of 3 alternatives; fails if default_page=10; not judged if key_order=reversed."
    )
    assert exit_code.conclude(judged(strict=True)).code == 1
    assert exit_code.conclude(judged(error="The sandbox failed.")).code == 2


def test_failure_without_an_alternative_counts_as_before() -> None:
    failed = report(result(FAIL), readings=(InReading(HEADER, (result(PASS),)),))
    conclusion = exit_code.conclude(failed)
    assert conclusion.code == 1 and "Passes in 1 of 1 alternatives." in conclusion.text


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ((PASS, PASS), PASS),
        ((PASS, FAIL), FAIL),
        ((PASS, INCONCLUSIVE), INCONCLUSIVE),
        ((), INCONCLUSIVE),
    ],
)
def test_outcome_of_an_alternative(results: tuple[Outcome, ...], outcome: Outcome) -> None:
    assert InReading(HEADER, tuple(map(result, results))).outcome is outcome
    ended = InReading(HEADER, tuple(map(result, results)), "The run was interrupted.")
    assert ended.outcome is (FAIL if outcome is FAIL else INCONCLUSIVE)


def test_reports_have_evidence_and_cure_of_an_alternatives_failure() -> None:
    lines = [text for text, _ in terminal.lines(judged())]
    assert any("warning" in line and "default_page=10" in line for line in lines)
    failure = result(FAIL)
    summary = github.render(judged())
    for text in (failure.check.fix, failure.verdict.evidence[0].lines[0]):
        assert any(text in line for line in lines) and text in summary
    assert "default&#95;page=10 | warning |" in summary
    opened = list(parse(html.render(judged())).all("section details[open]"))
    assert [each["id"] for each in opened] == ["default_page=10"]
    assert failure.check.fix in opened[0].text and "HTTP/1.1 200" in opened[0].text


@pytest.mark.parametrize(
    ("strict", "tag", "message"),
    [
        (False, "skipped", "failed, not counted (reading): Short pages."),
        (True, "failure", "Short pages."),
    ],
)
def test_junit_has_a_suite_of_the_alternatives(strict: bool, tag: str, message: str) -> None:
    suite = ElementTree.fromstring(junit.render(judged(strict=strict)))[-1]
    passed, failed, inconclusive = suite
    assert suite.attrib["failures"] == str(int(strict)) and not len(passed)
    assert (failed[0].tag, failed[0].attrib["message"]) == (tag, message)
    text = "".join(failed.itertext())
    assert "Fix: Verify the token" in text and "HTTP/1.1 200" in text
    assert inconclusive[0].attrib["message"] == "inconclusive: Another order."


def test_json_has_the_alternatives_by_its_schema() -> None:
    content = json_report.as_json(judged())
    jsonschema.validate(content, json.loads(json_report.SCHEMA.read_text()))
    marks = [(each["id"], each["mark"]) for each in content["readings"]]
    assert marks == [
        ("jwt_header", "pass"),
        ("default_page", "warning"),
        ("key_order", "inconclusive"),
    ]
    again = json_report.from_json(json.loads(json.dumps(content)))
    assert json_report.as_json(again) == content
    # Of an earlier version.
    del content["readings"]
    assert json_report.from_json(content).readings == ()


def test_readings_name_checks_that_exist() -> None:
    alternatives = [Alternative(each.id, "", "", each.checks) for each in registry.READINGS]
    assert set(readings.selected(alternatives)) <= {check.id for check in CHECKS}
