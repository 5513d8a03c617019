"""The chart of the last hour: one stacked bar a minute, with the attempts by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portal import charts
from webhooks.webhook_health import MinuteCounts


def build_chart(minutes: Sequence[MinuteCounts]) -> dict[str, Any]:
    """Return the bars of the minutes, the totals, and the axes; the bar at `top` is the highest."""
    top = charts.axis_top(max((minute.total for minute in minutes), default=0))
    return {
        "bars": [
            {
                "at": minute.at,
                "text": _as_text(minute),
                "segments": charts.stack(n, _counts(minute), top),
            }
            for n, minute in enumerate(minutes)
            if minute.total
        ],
        "success": sum(minute.success for minute in minutes),
        "failure": sum(minute.failure for minute in minutes),
        "unknown": sum(minute.unknown for minute in minutes),
        "total": sum(minute.total for minute in minutes),
        "top": top,
        "middle_count": top // 2,
        "start": minutes[0].at,
        "middle": minutes[len(minutes) // 2].at,
        "end": minutes[-1].at,
    }


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
