"""Rows of benchmarks: their ratios, floors and aims, comparisons, and what is printed of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import permutations

import pytest

from benchmarks import table
from benchmarks.table import Row, row


def test_calls_are_made_in_turn_in_each_round() -> None:
    made: list[str] = []
    results = table.in_turn(2, lambda: made.append("a"), lambda: made.append("b") or len(made))
    assert (made, results) == (["a", "b", "a", "b"], [[None, None], [2, 4]])


def test_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    # The load doubled in the second round; the medians of both kinds would give 2 / 10.
    figure = Row("figure, s", [1.0, 6.0, 3.0], [10.0, 20.0, 10.0])
    assert (figure.measured, figure.ratio) == (3.0, 0.3)


def test_scale_changes_values_and_not_the_ratio() -> None:
    figure = row("figure, ms", [{"cpu": 0.001}], [{"cpu": 0.002}], key="cpu", scale=1e3)
    assert (figure.values, figure.bases, figure.ratio) == ([1.0], [2.0], 0.5)


def test_rounds_of_both_kinds_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Row("figure", [1.0, 2.0], [1.0]).ratio


@pytest.mark.parametrize(
    ("values", "bases", "limits", "verdict"),
    [
        ([2.0], [1.0], {"floor": 1.3, "aim": 1.1}, "FAIL"),
        ([1.2], [1.0], {"floor": 1.3, "aim": 1.1}, "ok"),
        ([1.0], [1.0], {"floor": 1.3, "aim": 1.1}, "aim"),
        ([170], [100], {"floor": 1.8, "aim": 1.95, "at_least": True}, "FAIL"),
        ([180], [100], {"floor": 1.8, "aim": 1.95, "at_least": True}, "ok"),
        ([196], [100], {"floor": 1.8, "aim": 1.95, "at_least": True}, "aim"),
        # Without a baseline the floor is one of the value.
        ([0.04], [], {"floor": 0.03}, "FAIL"),
        ([0.03], [], {"floor": 0.03}, "ok"),
        ([0], [], {"floor": 0}, "ok"),
        # Also with a baseline that is only shown.
        ([400], [20], {"floor": 300, "absolute": True}, "FAIL"),
        ([2.0], [1.0], {}, ""),
    ],
)
def test_missed_floor_fails_and_missed_aim_does_not(
    values: list[float], bases: list[float], limits: dict[str, float], verdict: str
) -> None:
    assert Row("", values, bases, **limits).verdict == verdict


def test_row_survives_json() -> None:
    figure = Row("b, ms", [1.0, 2.0], [3.0, 4.0], "c", 1, 2, at_least=True, part="a")
    assert Row.from_json(json.loads(json.dumps(figure.to_json()))) == figure


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


def test_calls_of_a_round_have_each_order_equally_often() -> None:
    assert Counter(table.orders(60)) == dict.fromkeys(permutations(range(3)), 10)


@pytest.mark.parametrize("more", [0.0, 0.02, -0.02])
def test_difference_is_found_though_calls_vary_by_more(more: float) -> None:
    chance = random.Random(7)
    spent: list[list[float]] = [[], [], []]
    for n, order in enumerate(table.orders(1200)):
        for kind in order:
            # The load doubles in the middle, and some calls are interrupted.
            seconds = (1 + more * (kind == 2)) * (1 + (n > 600)) * chance.uniform(0.95, 1.05)
            spent[kind].append(seconds + 3.0 * (chance.random() < 0.02))
    result = table.compare(*spent)
    assert result["other"] / result["base"] == pytest.approx(1 + more, abs=0.006)
    assert abs(result["noise"]) < 0.006


def test_noise_is_what_the_same_call_seems_to_take_more() -> None:
    expected = {"base": 10.1, "other": 10.1, "noise": 0.2 / 10.1}
    assert table.compare([10.0] * 20, [10.2] * 20, [10.1] * 20) == pytest.approx(expected)
