"""The results of checks as JUnit XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.outputs import junit
from requests_queue.safe_text import visible
from tests.unit.checks.reports import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    SHOULD,
    caused,
    check,
    mixed,
    report,
    result,
    with_text,
)

# What XML 1.0 allows.
ALLOWED = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode())


def children(root: ElementTree.Element) -> dict[str, tuple[str, str]]:
    """Return tag and message of the first element in each test case."""
    cases = root.iter("testcase")
    return {
        case.attrib["name"]: (case[0].tag, case[0].attrib.get("message", ""))
        for case in cases
        if len(case)
    }


def test_each_group_is_a_suite_with_its_counts() -> None:
    root = parsed(junit.render(mixed()))
    total = {"name": "connect-sim check", "tests": "8", "failures": "1", "errors": "0"}
    assert root.attrib == {**total, "time": "2.000"}
    assert [(suite.attrib["name"], len(suite)) for suite in root] == [
        ("auth", 4),
        ("token", 2),
        ("crash", 1),
        ("retry", 1),
    ]
    auth = root[0].attrib
    assert (auth["tests"], auth["failures"], auth["skipped"]) == ("4", "1", "2")
    assert (auth["time"], auth["timestamp"]) == ("1.000", "2026-11-26T18:00:00")


def test_failure_has_evidence_and_cure_and_others_a_message() -> None:
    root = parsed(junit.render(mixed()))
    assert children(root) == {
        "auth.garbage": ("failure", "The handler returned 200."),
        "auth.authorization_only": (
            "skipped",
            "failed, not counted (SHOULD): The handler returned 200.",
        ),
        "auth.other_product": (
            "skipped",
            "known failure until 2027-01-31: The handler returned 200.",
        ),
        "token.replay": ("skipped", "inconclusive: The handler was too slow."),
        "crash.killed": ("skipped", "skipped: Needs --run."),
        "retry.rotated_secret": ("skipped", "skipped: Needs --run."),
    }
    [failure] = root.iter("failure")
    lines = (failure.text or "").splitlines()
    assert "Fix: Verify the token before anything else." in lines
    assert lines.index("Response:") == lines.index("  HTTP/1.1 200") - 1
    assert lines[-1].startswith("Reproduce: connect-sim check http://127.0.0.1:9000/ --select")


def test_strict_makes_failures_of_should() -> None:
    failed = result(FAIL, check(level=SHOULD))
    root = parsed(junit.render(report(failed, strict=True)))
    assert children(root)["auth.garbage"][0] == "failure"


@pytest.mark.parametrize("error", ["", "The handler did not start."])
def test_run_without_a_verdict_has_an_error(error: str) -> None:
    root = parsed(junit.render(report(error=error)))
    assert children(root) == {"run": ("error", error or "No check was run.")}
    assert root.attrib["errors"] == "1"


@given(st.text(st.characters(codec=None)))
def test_any_text_is_in_a_valid_document(text: str) -> None:
    rendered = junit.render(with_text(text))
    assert ALLOWED.fullmatch(rendered)
    [failure] = parsed(rendered).iter("failure")
    assert failure.attrib["message"] == visible(text).replace("\n", "␊").replace("\t", "␉")
    assert visible(text) in (failure.text or "")


def test_failure_whose_cause_is_that_of_another_names_it() -> None:
    root = ElementTree.fromstring(junit.render(report(*caused("auth.a", "auth.b"))))
    first, second = (failure.text or "" for failure in root.iter("failure"))
    assert "Response:" in first and "Same cause" not in first
    assert "Same cause as auth.a: Verifies no token." in second and "Response:" not in second


def test_run_without_a_verdict_is_an_error() -> None:
    text = junit.render(report(result(PASS), result(INCONCLUSIVE, check("race.x")), strict=True))
    assert ElementTree.fromstring(text).attrib["errors"] == "1"
