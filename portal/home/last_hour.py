"""The chart of the last hour: a bar a minute, its outcomes one upon the other, and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webhooks.webhook_health import MinuteCounts

# The chart's own units, whatever its size on the screen.
HEIGHT = 100.0
# What is there is seen, however small beside the highest.
_LEAST = 2.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of a bar."""

    outcome: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """A minute: its words, and the rectangles that show it."""

    at: datetime
    says: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class HourChart:
    """The hour; `top` is what its full height stands for."""

    bars: list[MinuteBar]
    success: int
    failure: int
    unknown: int
    top: int
    start: datetime
    middle: datetime
    end: datetime

    @property
    def total(self) -> int:
        """How many calls ended in the hour."""
        return self.success + self.failure + self.unknown


def draw(minutes: Sequence[MinuteCounts]) -> HourChart:
    """Return the chart of the minutes."""
    top = _round(max((minute.total for minute in minutes), default=0))
    return HourChart(
        [
            MinuteBar(minute.at, words(minute), _pieces(n, minute, top))
            for n, minute in enumerate(minutes)
            if minute.total
        ],
        sum(minute.success for minute in minutes),
        sum(minute.failure for minute in minutes),
        sum(minute.unknown for minute in minutes),
        top,
        minutes[0].at,
        minutes[len(minutes) // 2].at,
        minutes[-1].at,
    )


def words(minute: MinuteCounts) -> str:
    """Return a minute's calls in words: `3 succeeded, 1 failed`."""
    counts = (
        (minute.success, "succeeded"),
        (minute.failure, "failed"),
        (minute.unknown, "with an unknown outcome"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _pieces(n: int, minute: MinuteCounts, top: int) -> list[Piece]:
    counts = (
        ("success", minute.success), ("unknown", minute.unknown), ("failure", minute.failure),
    )  # fmt: skip
    heights = {
        outcome: max(count / top * HEIGHT, _LEAST) for outcome, count in counts if count
    }  # fmt: skip
    # What the small ones got more than their share, the highest gives.
    highest = max(heights, key=lambda outcome: heights[outcome])
    heights[highest] -= max(0.0, sum(heights.values()) - HEIGHT)
    found: list[Piece] = []
    y = HEIGHT
    for outcome, height in heights.items():
        y -= height
        found.append(Piece(outcome, n + 0.12, round(y, 2), round(height, 2)))
    return found


def _round(highest: int) -> int:
    """Return the next number that reads well on an axis: 4, 10, 20, 50, 100 ..."""
    if highest <= 4:
        return 4
    size = int(f"1{'0' * (len(str(highest)) - 1)}")
    return next(step * size for step in (1, 2, 5, 10) if highest <= step * size)
