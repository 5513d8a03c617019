"""Rows of benchmarks: their ratios, floors and aims, comparisons, and what is printed of them."""

from __future__ import annotations

import random
from collections import Counter
from itertools import count, permutations

import pytest

from benchmarks import table
from benchmarks.table import Row, row


def test_calls_are_made_in_turn_in_each_round() -> None:
    made: list[str] = []
    results = table.in_turn(2, lambda: made.append("a"), lambda: made.append("b") or len(made))
    assert (made, results) == (["a", "b", "a", "b"], [[None, None], [2, 4]])


def test_ratio_is_the_median_of_the_ratios_of_rounds_whatever_the_scale() -> None:
    # The load doubled in the second round; the medians of both kinds would give 2 / 10.
    times = [[{"cpu": n} for n in each] for each in ((1, 6, 3), (10, 20, 10))]
    figure = row("figure, ms", *times, key="cpu", scale=1e3)
    assert (figure.measured, figure.ratio) == (3000, 0.3)


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


def test_small_ratio_is_a_fraction_and_numbers_have_three_digits() -> None:
    assert [table.ratio(n) for n in (1.5, 0.1, 1 / 22, 0.0)] == ["1.50", "0.10", "1/22.0", "0.00"]
    numbers = [table.number(n) for n in (12345.6, 3.14159, 0.025, 0.0)]
    assert numbers == ["12,346", "3.14", "0.025", "0"]


def test_calls_of_a_round_have_each_order_equally_often() -> None:
    made: list[int] = []
    table.compare(60, lambda n: made.append(n) or [1.0])
    rounds = Counter(tuple(made[n : n + 3]) for n in range(0, 180, 3))
    assert rounds == dict.fromkeys(permutations(range(3)), 10)


@pytest.mark.parametrize("more", [0.0, 0.02, -0.02])
def test_difference_is_found_though_calls_vary_by_more(more: float) -> None:
    chance, times = random.Random(7), count()

    def measure(n: int) -> list[float]:
        # The load doubles in the middle, and some calls are interrupted.
        seconds = (1 + more * (n == 2)) * (1 + (next(times) > 1800)) * chance.uniform(0.95, 1.05)
        return [seconds + 3.0 * (chance.random() < 0.02)]

    [result] = table.compare(1200, measure)
    assert result["other"] / result["base"] == pytest.approx(1 + more, abs=0.006)
    assert abs(result["noise"]) < 0.006


def test_noise_is_what_the_same_call_seems_to_take_more() -> None:
    values = ([10.0, 1.0], [10.2, 1.0], [10.1, 3.0])
    assert table.compare(20, lambda n: values[n]) == [
        pytest.approx({"base": 10.1, "other": 10.1, "noise": 0.02}),
        {"base": 1.0, "other": 3.0, "noise": 0.0},
    ]
