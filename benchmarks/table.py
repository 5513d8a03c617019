"""Figures, their bounds, and the table that is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of the ratio, or of the value itself if it has no baseline."""

    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Return whether the value is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value and its baseline in the same run."""

    part: str
    figure: str
    measured: float
    baseline: float | None = None
    beside: str = ""
    bound: Bound | None = None
    # The bound is one of the value, though it has a baseline.
    absolute: bool = False

    @property
    def ratio(self) -> float | None:
        """Return the value divided by its baseline."""
        return self.measured / self.baseline if self.baseline else None

    @property
    def missed(self) -> bool:
        """Return whether the row misses its bound."""
        if self.bound is None:
            return False
        value = self.measured if self.ratio is None or self.absolute else self.ratio
        return not self.bound.holds(value)

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the row."""
        verdict = "FAIL" if self.missed else "ok"
        return (
            self.part,
            self.figure,
            _number(self.measured),
            f"{_number(self.baseline)} {self.beside}" if self.baseline is not None else "",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            str(self.bound or ""),
            verdict if self.bound else "",
        )


_HEAD = ("set-up", "figure", "measured", "beside", "ratio", "bound", "")


def render(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(_HEAD))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(texts)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}"
