"""The chart of the last hour: one stacked bar a minute, with the attempts by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from webhooks.webhook_health import MinuteCounts

HEIGHT = 100.0  # in units of the SVG
_MIN_HEIGHT = 2.0  # a single attempt stays visible beside a thousand


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that shows one outcome."""

    outcome: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """The bar of a minute, and its counts as text."""

    at: datetime
    text: str
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class HourChart:
    """The bars, the totals, and `top`: the number of attempts at full height."""

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
        """The number of attempts in the hour."""
        return self.success + self.failure + self.unknown


def build_chart(minutes: Sequence[MinuteCounts]) -> HourChart:
    """Return the chart of the minutes."""
    top = _axis_top(max((minute.total for minute in minutes), default=0))
    return HourChart(
        [
            MinuteBar(minute.at, _as_text(minute), _segments(n, minute, top))
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


def _as_text(minute: MinuteCounts) -> str:
    """Return the counts of a minute: `3 succeeded, 1 failed`."""
    counts = (
        (minute.success, "succeeded"), (minute.failure, "failed"),
        (minute.unknown, "with an unknown outcome"),
    )  # fmt: skip
    return ", ".join(f"{count} {label}" for count, label in counts if count)


def _segments(n: int, minute: MinuteCounts, top: int) -> list[Segment]:
    counts = (
        ("success", minute.success), ("unknown", minute.unknown), ("failure", minute.failure),
    )  # fmt: skip
    heights = {
        outcome: max(count / top * HEIGHT, _MIN_HEIGHT) for outcome, count in counts if count
    }  # fmt: skip
    # The highest segment makes room for the minimum heights of the others.
    highest = max(heights, key=lambda outcome: heights[outcome])
    heights[highest] -= max(0.0, sum(heights.values()) - HEIGHT)
    segments: list[Segment] = []
    y = HEIGHT
    for outcome, height in heights.items():
        y -= height
        segments.append(Segment(outcome, n + 0.12, round(y, 2), round(height, 2)))
    return segments


def _axis_top(highest: int) -> int:
    """Return the next round number for the axis: 4, 10, 20, 50, 100 …"""
    if highest <= 4:
        return 4
    size = int(10 ** (len(str(highest)) - 1))
    return next(step * size for step in (1, 2, 5, 10) if highest <= step * size)
