"""How a run has ended: by its report, its exit code, and what it printed."""

from __future__ import annotations

from typing import Any

import pytest

from checks.outputs import json_report
from sandbox.check_runs import ending_of
from tests.unit.checks import reports

REPORT = json_report.as_json(reports.mixed())
LEFT = "The sandbox was restored."


@pytest.mark.parametrize(
    "report, code, printed, left, is_cancelled, state, error",
    [
        (REPORT, 1, "x", "", False, "finished", ""),
        (REPORT, 2, "x", LEFT, False, "finished", LEFT),
        # It had ended when it was cancelled.
        (REPORT, 0, "x", "", True, "finished", ""),
        (REPORT, 143, "x", "", True, "cancelled", ""),
        (None, -15, "x", LEFT, True, "cancelled", LEFT),
        (None, 2, "a\nError: Nothing listens.\n\n", "", False, "failed", "Nothing listens."),
        (None, -9, "Error: x", LEFT, False, "failed",
         f"The process of the checks was ended by signal 9. {LEFT}"),
        (None, 3, "", "", False, "failed", "The process of the checks ended with exit code 3."),
        ({"format": 1}, 0, "", "", False, "failed",
         "The report cannot be read: The report is damaged: target is missing."),
    ],
)  # fmt: skip
def test_end_of_a_run(
    report: Any, code: int, printed: str, left: str, is_cancelled: bool, state: str, error: str
) -> None:
    ending = ending_of(report, code, printed, left, is_cancelled, [])
    assert (ending.state, ending.error, ending.exit_code) == (state, error, code)
    assert bool(ending.report) == (report is REPORT)


def test_secrets_are_masked() -> None:
    secret = "JWT-c0ffee00-canary"
    report = json_report.as_json(reports.with_text(f"it sent {secret}"))
    for ending in (
        ending_of(report, 1, "", "", False, [secret]),
        ending_of(None, 2, f"Error: {secret} is wrong.", "", False, [secret]),
    ):
        assert secret not in ending.report + ending.error
