"""Figures, their bounds, and the table that is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of the ratio, or of the value itself if it has no baseline."""

    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Return whether the value is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {number(self.limit)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value and its baseline in the same run.

    `bound` is the floor: the run fails if it is missed. An aim that is missed is only shown.
    `rounds` has the measured value and the baseline of each round; None without a baseline.
    """

    figure: str
    measured: float
    baseline: float | None = None
    beside: str = ""
    bound: Bound | None = None
    aim: Bound | None = None
    # The bound is one of the value, though it has a baseline.
    absolute: bool = False
    rounds: tuple[tuple[float, float | None], ...] = ()
    part: str = ""

    @property
    def ratio(self) -> float | None:
        """Return the median of the rounds' ratios, or the value divided by its baseline."""
        if not self.baseline:
            return None
        ratios = [value / base for value, base in self.rounds if base]
        return median(ratios) if ratios else self.measured / self.baseline

    @property
    def decisive(self) -> float:
        """Return what the bound and the aim are about: the ratio, or the value."""
        return self.measured if self.ratio is None or self.absolute else self.ratio

    @property
    def verdict(self) -> str:
        """Return FAIL, ok, or aim if that is reached, too; empty without a bound."""
        if self.bound is None:
            return ""
        if not self.bound.holds(self.decisive):
            return "FAIL"
        return "aim" if self.aim is not None and self.aim.holds(self.decisive) else "ok"

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON, with its ratio and its verdict for readers of the file."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def from_json(data: Mapping[str, Any]) -> Row:
    """Return the row of `Row.to_json`."""
    values = {name: value for name, value in data.items() if name not in ("ratio", "verdict")}
    for name in ("bound", "aim"):
        values[name] = Bound(**values[name]) if values[name] else None
    return Row(**{**values, "rounds": tuple((value, base) for value, base in values["rounds"])})


def in_turn(rounds: int, *calls: Callable[[], Any]) -> list[list[Any]]:
    """Make the calls in turn in each round, and return the results of each of them."""
    results = [[call() for call in calls] for _ in range(rounds)]
    return [list(each) for each in zip(*results, strict=True)]


def in_rounds(
    figure: str,
    measured: Sequence[Any],
    baseline: Sequence[Any] = (),
    beside: str = "",
    bound: Bound | None = None,
    aim: Bound | None = None,
    *,
    key: str = "",
    scale: float = 1.0,
) -> Row:
    """Return the row of values that were measured in turn, one of each kind in a round.

    They are numbers, or mappings that have them by the key.
    """
    values, bases = (
        [(each[key] if key else each) * scale for each in kind] for kind in (measured, baseline)
    )
    rounds = tuple(zip(values, bases or [None] * len(values), strict=True))
    return Row(
        figure,
        median(values),
        median(bases) if bases else None,
        beside,
        bound,
        aim,
        rounds=rounds,
    )


def render(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [
        ("set-up", "figure", "measured", "beside", "ratio", "floor", "aim", ""),
        *(
            (
                row.part,
                row.figure,
                number(row.measured),
                f"{number(row.baseline)} {row.beside}" if row.baseline is not None else "",
                "" if row.ratio is None else ratio(row.ratio),
                str(row.bound or ""),
                str(row.aim or ""),
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
