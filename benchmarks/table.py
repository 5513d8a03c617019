"""Figures, their bounds, and the table that is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    part: str
    figure: str
    measured: float
    baseline: float | None = None
    beside: str = ""
    bound: Bound | None = None
    # The bound is one of the value, though it has a baseline.
    absolute: bool = False
    aim: Bound | None = None
    rounds: tuple[tuple[float, float | None], ...] = ()

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
    def missed(self) -> bool:
        """Return whether the row misses its bound."""
        return self.bound is not None and not self.bound.holds(self.decisive)

    @property
    def verdict(self) -> str:
        """Return FAIL, ok, or aim if that is reached, too; empty without a bound."""
        if self.bound is None:
            return ""
        if self.missed:
            return "FAIL"
        return "aim" if self.aim is not None and self.aim.holds(self.decisive) else "ok"

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row."""
        return (
            self.part,
            self.figure,
            number(self.measured),
            f"{number(self.baseline)} {self.beside}" if self.baseline is not None else "",
            "" if self.ratio is None else ratio(self.ratio),
            str(self.bound or ""),
            str(self.aim or ""),
            self.verdict,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON, with its ratio and its verdict for readers of the file."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def from_json(data: Mapping[str, Any]) -> Row:
    """Return the row of `Row.to_json`."""
    given = {name: value for name, value in data.items() if name not in ("ratio", "verdict")}
    for name in ("bound", "aim"):
        given[name] = Bound(**given[name]) if given[name] else None
    given["rounds"] = tuple((value, base) for value, base in given["rounds"])
    return Row(**given)


def in_rounds(
    part: str,
    figure: str,
    measured: Sequence[float],
    baseline: Sequence[float] = (),
    beside: str = "",
    bound: Bound | None = None,
    aim: Bound | None = None,
    *,
    scale: float = 1.0,
) -> Row:
    """Return the row of values that were measured in turn, one of each kind in a round."""
    values = [value * scale for value in measured]
    bases = [value * scale for value in baseline]
    pairs: list[tuple[float, float | None]] = (
        list(zip(values, bases, strict=True)) if bases else [(value, None) for value in values]
    )
    base = median(bases) if bases else None
    return Row(part, figure, median(values), base, beside, bound, aim=aim, rounds=tuple(pairs))


HEAD = ("set-up", "figure", "measured", "beside", "ratio", "floor", "aim", "")


def render(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEAD))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(texts)


def ratio(value: float) -> str:
    """Return a ratio: two decimals, or a fraction of 1 if it is small."""
    return f"1/{1 / value:.1f}" if 0 < value < 0.1 else f"{value:.2f}"


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}".rstrip("0").rstrip(".") or "0"
