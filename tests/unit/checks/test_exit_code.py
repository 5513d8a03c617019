"""The verdict on a run, as an exit code and a sentence."""

from __future__ import annotations

import pytest

from checks.model import Result
from checks.outputs.exit_code import conclude, exit_code
from tests.unit.checks.reports import (
    FAIL,
    INCONCLUSIVE,
    KNOWN_UNTIL,
    MAY,
    PASS,
    SHOULD,
    SKIPPED,
    caused,
    check,
    report,
    result,
)

CONTROL = check("auth.control")


def should() -> Result:
    return result(FAIL, check(level=SHOULD))


@pytest.mark.parametrize(
    ("results", "strict", "expected"),
    [
        ([result(PASS)], False, 0),
        ([result(PASS), result(SKIPPED), result(INCONCLUSIVE)], False, 0),
        ([result(FAIL), result(PASS)], False, 1),
        ([should()], False, 0),
        ([should()], True, 1),
        ([result(FAIL, check(level=MAY))], True, 0),
        ([result(FAIL, known_until=KNOWN_UNTIL)], True, 0),
        ([], False, 2),
        ([result(SKIPPED), result(INCONCLUSIVE)], False, 2),
        # The control passed, and what was asked for was not judged.
        ([result(PASS, CONTROL), result(INCONCLUSIVE)], False, 2),
        ([result(PASS, CONTROL), result(PASS)], False, 0),
        ([result(PASS, CONTROL)], False, 0),
        ([result(FAIL, CONTROL), result(SKIPPED)], False, 2),
        ([result(INCONCLUSIVE, CONTROL), result(SKIPPED)], False, 2),
        ([result(SKIPPED, CONTROL), result(PASS, check("token.x"))], False, 0),
        # What was found counts, whatever else could not be judged.
        ([result(FAIL, CONTROL), result(FAIL, check("token.x"))], False, 1),
        ([result(FAIL), result(INCONCLUSIVE, check("token.x"))], True, 1),
        ([result(PASS), result(INCONCLUSIVE)], True, 2),
        ([result(PASS), result(INCONCLUSIVE, check(level=SHOULD))], True, 0),
        ([result(PASS), result(SKIPPED)], True, 0),
        # Only what was selected counts.
        ([result(INCONCLUSIVE, CONTROL, is_prerequisite=True), result(SKIPPED)], False, 2),
        # A baseline can't know the failure of a control.
        ([result(FAIL, CONTROL, known_until=KNOWN_UNTIL), result(PASS)], False, 2),
    ],
)
def test_exit_code_of_results(results: list[Result], strict: bool, expected: int) -> None:
    assert exit_code(report(*results, strict=strict)) == expected


def test_run_that_ended_early_has_no_verdict() -> None:
    conclusion = conclude(report(result(FAIL), error="The handler ended with exit code 1."))
    assert (conclusion.code, conclusion.text) == (2, "The handler ended with exit code 1.")


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([result(FAIL)], "1 of 1 check failed."),
        ([result(PASS), result(SKIPPED)], "1 of 2 checks passed, 1 skipped, none failed."),
        (
            [result(PASS), should(), result(FAIL, known_until=KNOWN_UNTIL)],
            "1 of 3 checks passed; not counted: 1 warning, 1 known failure.",
        ),
        (
            [result(FAIL, CONTROL), result(INCONCLUSIVE, check("token.control"))],
            "auth.control, token.control did not pass, so nothing else of their groups was judged.",
        ),
        (
            [result(FAIL, CONTROL), result(SKIPPED)],
            "auth.control did not pass, so nothing else was judged.",
        ),
        ([result(SKIPPED)], "No check was judged: all were skipped or inconclusive."),
        (
            [
                result(PASS),
                should(),
                result(INCONCLUSIVE, check("crash.killed")),
                result(INCONCLUSIVE, check("race.stale")),
            ],
            "1 of 4 checks passed; not counted: 1 warning; 2 MUSTs not judged: crash.killed, "
            "race.stale.",
        ),
        ([result(PASS, CONTROL, is_prerequisite=True), result(FAIL)], "1 of 1 check failed."),
        (
            [*caused("auth.a", "auth.b"), result(FAIL, check("auth.c")), result(PASS)],
            "3 of 4 checks failed, for 2 causes.",
        ),
    ],
)
def test_conclusion_says_why(results: list[Result], text: str) -> None:
    assert conclude(report(*results)).text == text
