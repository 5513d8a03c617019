"""The chart of the last hour: one stacked bar a minute, with the attempts by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from portal import charts
from portal.charts import Segment
from webhooks.webhook_health import MinuteCounts


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
    def middle_count(self) -> int:
        """The number of attempts at half height."""
        return self.top // 2

    @property
    def total(self) -> int:
        """The number of attempts in the hour."""
        return self.success + self.failure + self.unknown


def build_chart(minutes: Sequence[MinuteCounts]) -> HourChart:
    top = charts.axis_top(max((minute.total for minute in minutes), default=0))
    return HourChart(
        [
            MinuteBar(minute.at, _as_text(minute), charts.stack(n, _counts(minute), top))
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
        (minute.success, "succeeded"),
        (minute.failure, "failed"),
        (minute.unknown, "with an unknown outcome"),
    )
    return ", ".join(f"{count} {label}" for count, label in counts if count)


def _counts(minute: MinuteCounts) -> dict[str, int]:
    """Return the counts from the bottom of the bar."""
    return {"success": minute.success, "unknown": minute.unknown, "failure": minute.failure}
