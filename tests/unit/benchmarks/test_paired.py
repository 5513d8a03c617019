"""Comparing calls whose CPU time varies more than it differs."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from benchmarks.paired import compare, rounds, trimmed_mean


def test_calls_of_a_round_have_each_order_equally_often() -> None:
    counts = Counter(rounds(60))
    assert counts == dict.fromkeys(permutations(range(3)), 10)
    assert list(rounds(7)) == list(rounds(7))


def test_trimmed_mean_leaves_out_extremes_on_both_sides() -> None:
    assert trimmed_mean([1000.0, *[2.0] * 8, -1000.0]) == 2
    assert trimmed_mean([1.0, 5.0]) == 3


@pytest.mark.parametrize("more", [0.0, 0.02, -0.02])
def test_difference_is_found_though_calls_vary_by_more(more: float) -> None:
    chance = random.Random(7)

    def call(load: float, seconds: float) -> float:
        # Some calls are interrupted.
        interrupted = 3.0 if chance.random() < 0.02 else 0.0
        return load * seconds * chance.uniform(0.95, 1.05) + interrupted

    spent: list[list[float]] = [[], [], []]
    for n, order in enumerate(rounds(1200)):
        # The load doubles in the middle.
        load = 1.0 + (n > 600)
        for kind in order:
            spent[kind].append(call(load, 1 + more if kind == 2 else 1.0))
    result = compare(*spent)
    assert result.difference / result.base == pytest.approx(more, abs=0.006)
    assert abs(result.noise) < 0.006


def test_noise_is_what_the_same_call_seems_to_take_more() -> None:
    result = compare([10.0] * 20, [10.2] * 20, [10.1] * 20)
    assert result.base == pytest.approx(10.1)
    assert result.difference == pytest.approx(0)
    assert result.noise == pytest.approx(0.2 / 10.1)
