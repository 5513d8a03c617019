"""Rows of figures beside their baselines, with floors and aims, and the table that is printed.

The CPU time of a call varies by more than a few percent: with the load of the machine, its clock
rate and its caches. To compare two kinds of calls that differ by less, the calls of a round follow
one another, in each order equally often, and the differences within rounds are averaged. One kind
is called twice: how much its own two calls differ is the noise of the result.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
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
    def decisive(self) -> float:
        """Return what the floor and the aim are about: the ratio, or the value."""
        return self.measured if self.ratio is None or self.absolute else self.ratio

    def limits(self, show: Callable[[float], str], at_most: str, at_least: str) -> list[str]:
        """Return the floor and the aim as texts."""
        sign = at_least if self.at_least else at_most
        limits = (self.floor, self.aim)
        return ["" if limit is None else f"{sign} {show(limit)}" for limit in limits]

    @property
    def verdict(self) -> str:
        """Return FAIL, ok, or aim if that is reached, too; empty without a floor."""
        if self.floor is None:
            return ""
        holds = operator.ge if self.at_least else operator.le
        if not holds(self.decisive, self.floor):
            return "FAIL"
        return "aim" if self.aim is not None and holds(self.decisive, self.aim) else "ok"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Row":
        return cls(**{name: data[name] for name in cls.__slots__})

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON, with its ratio and its verdict for readers of the file."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


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


def orders(rounds: int) -> Iterator[tuple[int, ...]]:
    """Return the orders of calls 0, 1 and 2 in each round; six rounds have all of them."""
    return islice(cycle(permutations(range(3))), rounds)


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
    cut = len(values) // 10
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)


def render(rows: Sequence[Row]) -> str:
    lines = [
        ("set-up", "figure", "measured", "beside", "ratio", "floor", "aim", ""),
        *(
            (
                row.part,
                row.figure,
                number(row.measured),
                f"{number(median(row.bases))} {row.beside}" if row.bases else "",
                "" if row.ratio is None else ratio(row.ratio),
                *row.limits(number, "<=", ">="),
                row.verdict,
            )
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    texts.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(texts)


def ratio(value: float) -> str:
    """Return a ratio: two decimals, or a fraction of 1 if it is small."""
    return f"1/{1 / value:.1f}" if 0 < value < 0.1 else f"{value:.2f}"


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}".rstrip("0").rstrip(".") or "0"
