"""Results as tables, and the page that shows them."""

from __future__ import annotations

import pytest

from tests.chaos import results
from tests.chaos.case import FAILED, PASSED, VOID, Result
from tests.chaos.results import Run


def result(case: str, outcome: str = PASSED, **more: object) -> Result:
    values = {
        "deliveries": 2500,
        "in_flight": 12,
        "repeats": 3,
        "calls": 1300,
        "refused": 7,
        "slowest_call": 0.44,
        "slowest_own_call": 0.4,
        "deliverable": 1.25,
        "load": 1.5,
        "at": "2026-11-27T03:00:00Z",
    }
    return Result(case, "distributed", 16, outcome, **(values | more))  # type: ignore[arg-type]


def run(*rows: Result) -> Run:
    return Run("2026-11-27T03:00:00Z", "2 cores, Python 3.11.7", "full", list(rows))


def test_page_is_current() -> None:
    page = results.PAGE.read_text()
    assert results.updated(page, results.load(results.PUBLISHED)) == page


def test_table_has_a_row_for_each_case() -> None:
    lines = list(results.table([result("Redis flushed")]))
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "Redis flushed",
        "distributed",
        "2,500",
        "12",
        "3",
        "1,300",
        "7",
        "0.4 s",
        "1.2 s",
        "passed",
    ]


def test_slow_call_shows_its_share_with_a_cpu() -> None:
    assert "2.5 s (0.4 s with a CPU)" in results.cells(result("x", slowest_call=2.5))


def test_case_that_did_not_run_has_only_its_outcome() -> None:
    row = results.cells(Result("disk full", "embedded", 16, "not run"))
    assert row == ("disk full", "embedded", *["–"] * 7, "not run")


def test_failures_and_void_cases_are_listed() -> None:
    failed = result("Redis away", FAILED, violations=["PR-1 was not delivered."])
    assert list(
        results.problems([failed, result("beat absent", VOID), result("Redis flushed")])
    ) == [
        "- **Redis away** (seed 16): PR-1 was not delivered.",
        "- **beat absent**: void, because the fault hit no request in flight.",
    ]


def test_new_results_replace_old_ones_of_the_same_case() -> None:
    old = run(result("Redis flushed", FAILED), result("disk full"))
    merged = results.merged(old, run(result("beat absent"), result("Redis flushed")))
    assert [(each.case, each.outcome) for each in merged.results] == [
        ("Redis flushed", PASSED),
        ("beat absent", PASSED),
        ("disk full", PASSED),
    ]


def test_page_without_the_markers_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"reliability\.md lacks the two lines"):
        results.updated("# Reliability\n", run(result("disk full")))
