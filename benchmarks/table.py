"""Rows of figures beside their baselines, with floors and aims, and the table that is printed.

The CPU time of a call varies by more than a few percent: with the load of the machine, its clock
rate and its caches. `compare` is for two kinds of calls that differ by less.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, permutations
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """A figure: its value in each round, and that of its baseline in the same round.

    The run fails if the floor is missed; an aim that is missed is only shown. Both limit the ratio,
    or the value if it has no baseline or is `absolute`: from above, or from below (`at_least`).
    """

    figure: str
    values: Sequence[float]
    bases: Sequence[float] = ()
    beside: str = ""
    floor: float | None = None
    aim: float | None = None
    at_least: bool = False
    absolute: bool = False
    part: str = ""

    @property
    def measured(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """Return the median of the rounds' ratios."""
        pairs = zip(self.values, self.bases, strict=True) if self.bases else ()
        ratios = [value / base for value, base in pairs if base]
        return median(ratios) if ratios else None

    @property
    def verdict(self) -> str:
        """Return FAIL, ok, or aim if that is reached, too; empty without a floor."""
        if self.floor is None:
            return ""
        holds = operator.ge if self.at_least else operator.le
        decisive = self.measured if self.ratio is None or self.absolute else self.ratio
        if not holds(decisive, self.floor):
            return "FAIL"
        return "aim" if self.aim is not None and holds(decisive, self.aim) else "ok"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Row":
        return cls(**{name: data[name] for name in cls.__slots__})


def in_turn(rounds: int, *calls: Callable[[], Any]) -> list[list[Any]]:
    """Make the calls in turn in each round, and return the results of each of them."""
    results = [[call() for call in calls] for _ in range(rounds)]
    return [list(each) for each in zip(*results, strict=True)]


def row(
    figure: str,
    values: Sequence[Any],
    bases: Sequence[Any] = (),
    beside: str = "",
    *limits: float | None,
    key: str = "",
    scale: float = 1.0,
    **options: Any,
) -> Row:
    """Return the row of values that are scaled, and mappings which have them by the key."""
    kinds = ([(each[key] if key else each) * scale for each in kind] for kind in (values, bases))
    return Row(figure, *kinds, beside, *limits, **options)


def compare(rounds: int, measure: Callable[[int], Sequence[float]]) -> list[dict[str, float]]:
    """Compare calls of two kinds: 0 and 1 are of the first one, 2 is of the other.

    The calls of a round follow one another, in each order equally often. `measure` makes one of
    them and returns its figures. Return of each figure the value of the first kind, that of the
    other by the median of the ratios within rounds, and the noise: the share, negative or positive,
    that 1 seems to be more than 0.
    """
    values: list[list[Sequence[float]]] = [[], [], []]
    for order in islice(cycle(permutations(range(3))), rounds):
        for n in order:
            values[n].append(measure(n))
    results = []
    for first, again, other in zip(*(zip(*kind, strict=True) for kind in values), strict=True):
        means = [sum(pair) / 2 for pair in zip(first, again, strict=True)]
        base, more = median(means), median(map(operator.truediv, other, means))
        noise = median(map(operator.truediv, again, first)) - 1
        results.append({"base": base, "other": base * more, "noise": noise})
    return results


def render(rows: Sequence[Row]) -> str:
    lines = [("set-up", "figure", "measured", "beside", "ratio", "floor", "aim", "")]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        lines.append(
            (
                row.part,
                row.figure,
                number(row.measured),
                f"{number(median(row.bases))} {row.beside}" if row.bases else "",
                "" if row.ratio is None else ratio(row.ratio),
                *("" if n is None else f"{sign} {number(n)}" for n in (row.floor, row.aim)),
                row.verdict,
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    texts.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(texts)


def ratio(value: float) -> str:
    return f"1/{1 / value:.1f}" if 0 < value < 0.1 else f"{value:.2f}"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}".rstrip("0").rstrip(".") or "0"
