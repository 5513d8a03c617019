"""Comparing calls whose CPU time varies more than it differs."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from benchmarks.paired import compare, rounds


def test_calls_of_a_round_have_each_order_equally_often() -> None:
    assert Counter(rounds(60)) == dict.fromkeys(permutations(range(3)), 10)


@pytest.mark.parametrize("more", [0.0, 0.02, -0.02])
def test_difference_is_found_though_calls_vary_by_more(more: float) -> None:
    chance = random.Random(7)
    spent: list[list[float]] = [[], [], []]
    for n, order in enumerate(rounds(1200)):
        for kind in order:
            # The load doubles in the middle, and some calls are interrupted.
            seconds = (1 + more * (kind == 2)) * (1 + (n > 600)) * chance.uniform(0.95, 1.05)
            spent[kind].append(seconds + 3.0 * (chance.random() < 0.02))
    result = compare(*spent)
    assert result["other"] / result["base"] == pytest.approx(1 + more, abs=0.006)
    assert abs(result["noise"]) < 0.006


def test_noise_is_what_the_same_call_seems_to_take_more() -> None:
    expected = {"base": 10.1, "other": 10.1, "noise": 0.2 / 10.1}
    assert compare([10.0] * 20, [10.2] * 20, [10.1] * 20) == pytest.approx(expected)
