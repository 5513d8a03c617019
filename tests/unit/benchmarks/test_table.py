"""Rows of benchmarks: their ratios, floors and aims, and what is printed of them."""

from __future__ import annotations

import json

import pytest

from benchmarks import table
from benchmarks.table import Bound, Row, in_rounds, in_turn


def test_calls_are_made_in_turn_in_each_round() -> None:
    made: list[str] = []
    results = in_turn(2, lambda: made.append("a"), lambda: made.append("b") or len(made))
    assert (made, results) == (["a", "b", "a", "b"], [[None, None], [2, 4]])


def test_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    # The load doubled in the second round; the medians of both kinds would give 2 / 10.
    row = in_rounds("figure, s", [1.0, 6.0, 3.0], [10.0, 20.0, 10.0])
    assert (row.measured, row.baseline, row.ratio) == (3.0, 10.0, 0.3)


def test_scale_changes_values_and_not_the_ratio() -> None:
    row = in_rounds("figure, ms", [{"cpu": 0.001}], [{"cpu": 0.002}], key="cpu", scale=1e3)
    assert (row.measured, row.baseline, row.ratio) == (1.0, 2.0, 0.5)


def test_rounds_of_both_kinds_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        in_rounds("figure", [1.0, 2.0], [1.0])


RATE = Bound(1.8, at_least=True), Bound(1.95, at_least=True)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (in_rounds("", [2.0], [1.0], "other", Bound(1.3), Bound(1.1)), "FAIL"),
        (in_rounds("", [1.2], [1.0], "other", Bound(1.3), Bound(1.1)), "ok"),
        (in_rounds("", [1.0], [1.0], "other", Bound(1.3), Bound(1.1)), "aim"),
        (in_rounds("", [170], [100], "", *RATE), "FAIL"),
        (in_rounds("", [180], [100], "", *RATE), "ok"),
        (in_rounds("", [196], [100], "", *RATE), "aim"),
        # Without a baseline the bound is one of the value.
        (in_rounds("", [0.04], bound=Bound(0.03)), "FAIL"),
        (in_rounds("", [0.03], bound=Bound(0.03)), "ok"),
        # Also with a baseline that is only shown.
        (Row("", 400, 20, "", Bound(300), absolute=True), "FAIL"),
        (in_rounds("", [2.0], [1.0]), ""),
    ],
)
def test_missed_floor_fails_and_missed_aim_does_not(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


@pytest.mark.parametrize(
    "row",
    [
        in_rounds("b, ms", [1.0, 2.0], [3.0, 4.0], "c", Bound(1, at_least=True), Bound(2)),
        in_rounds("b", [1.0], bound=Bound(3)),
        Row("b", 1.0, 2.0, "c", absolute=True, part="a"),
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
