"""Rows of benchmarks: their ratios, floors and aims, and what is printed of them."""

from __future__ import annotations

import json

import pytest

from benchmarks import table
from benchmarks.table import Bound, Row, in_rounds


def test_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    # The load doubled in the second round; the medians of both kinds would give 2 / 10.
    row = in_rounds("part", "figure, s", [1.0, 4.0, 2.0], [10.0, 20.0, 5.0])
    assert row.ratio == pytest.approx(0.2)
    row = in_rounds("part", "figure, s", [1.0, 6.0, 3.0], [10.0, 20.0, 10.0])
    assert row.ratio == pytest.approx(0.3)
    assert (row.measured, row.baseline) == (3.0, 10.0)


def test_scale_changes_values_and_not_the_ratio() -> None:
    row = in_rounds("part", "figure, ms", [0.001], [0.002], scale=1e3)
    assert (row.measured, row.baseline, row.ratio) == (1.0, 2.0, 0.5)


def test_rounds_of_both_kinds_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        in_rounds("part", "figure", [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("measured", "verdict", "missed"),
    [(2.0, "FAIL", True), (1.2, "ok", False), (1.0, "aim", False)],
)
def test_missed_floor_fails_and_missed_aim_does_not(
    measured: float, verdict: str, missed: bool
) -> None:
    row = in_rounds("part", "figure", [measured], [1.0], "other", Bound(1.3), Bound(1.1))
    assert (row.verdict, row.missed) == (verdict, missed)


def test_floor_of_a_rate_is_a_lower_limit() -> None:
    floor, aim = Bound(1.8, at_least=True), Bound(1.95, at_least=True)
    rows = [in_rounds("", "", [value], [100.0], "", floor, aim) for value in (170, 180, 196)]
    assert [row.verdict for row in rows] == ["FAIL", "ok", "aim"]


def test_bound_without_a_baseline_is_one_of_the_value() -> None:
    assert in_rounds("", "", [0.04], bound=Bound(0.03)).missed
    assert not in_rounds("", "", [0.03], bound=Bound(0.03)).missed
    # Also with a baseline that is only shown.
    assert Row("", "", 400, 20, "", Bound(300), absolute=True).missed


def test_row_without_a_bound_has_no_verdict() -> None:
    row = in_rounds("", "", [2.0], [1.0])
    assert (row.verdict, row.missed) == ("", False)


@pytest.mark.parametrize(
    "row",
    [
        in_rounds("a", "b, ms", [1.0, 2.0], [3.0, 4.0], "c", Bound(1, at_least=True), Bound(2)),
        in_rounds("a", "b", [1.0], bound=Bound(3)),
        Row("a", "b", 1.0, 2.0, "c", absolute=True),
    ],
)
def test_row_survives_json(row: Row) -> None:
    assert table.from_json(json.loads(json.dumps(row.to_json()))) == row


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.50"), (0.1, "0.10"), (1 / 22, "1/22.0"), (0.0, "0.00")]
)
def test_small_ratio_is_shown_as_a_fraction(value: float, text: str) -> None:
    assert table.ratio(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (3.14159, "3.14"), (0.025, "0.025"), (0.0, "0")]
)
def test_number_has_three_digits(value: float, text: str) -> None:
    assert table.number(value) == text
