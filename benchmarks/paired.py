"""Compare the CPU time of two kinds of calls that differ by a few percent.

The CPU time of a call varies by more than that: with the load of the machine, its clock rate and
its caches. So the calls of a round follow one another, in a random order, and the differences
within rounds are averaged. One kind is called twice: how much its own two calls differ is the noise
of the result.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations


def rounds(count: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders of calls 0, 1 and 2 in each round; six rounds have all of them."""
    chance = random.Random(1)
    orders = list(permutations(range(3)))
    for n in range(count):
        if n % len(orders) == 0:
            chance.shuffle(orders)
        yield orders[n % len(orders)]


def compare(
    base: Sequence[float], again: Sequence[float], other: Sequence[float]
) -> dict[str, float]:
    """Compare the seconds of each round: of the first kind, of it again, and of the other kind.

    Return the seconds of the first kind, of the other, and the noise: the share of the first,
    negative or positive, that the same calls seem to take more.
    """
    means = [(first + second) / 2 for first, second in zip(base, again, strict=True)]
    mean = trimmed_mean(means)
    differences = [more - less for more, less in zip(other, means, strict=True)]
    noise = trimmed_mean([more - less for more, less in zip(again, base, strict=True)])
    return {"base": mean, "other": mean + trimmed_mean(differences), "noise": noise / mean}


def trimmed_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest tenth of the values."""
    cut = len(values) // 10
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)
