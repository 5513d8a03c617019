"""Statistics of a webhook: counters, pending deliveries, the latest attempts, cleared backoffs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from portal.deliveries import causes
from requests_queue.time_format import format_moment, format_span
from webhooks import next_attempt
from webhooks.models import Attempt, Delivery, Webhook

LATEST = 50
_MAX_CLEARED = 5  # cleared backoffs that are shown
_COLUMNS = ("delivery_id", "number", "outcome", "status_code", "duration", "started_at")
# In units of the SVG: a bar and the gap after it are 12 wide, the highest bar is 100 high.
_STEP, _HIGHEST, _LOWEST = 12, 100, 4
_TOTAL = _HIGHEST + 12  # with the marks of failures
# The axis ends at 1 s or above, so that the usual milliseconds stay low.
_MIN_AXIS_MS = 1000
_TICKS_MS = (1, 10, 100, 1000, 10_000, 60_000, 300_000)


def context(row: Webhook) -> dict[str, Any]:
    """Return what the page shows, except for its health."""
    return {
        # By Connect's names.
        "counters": [
            ("Events", row.events),
            ("Triggers", row.triggers),
            ("Success responses", row.success_triggers),
            ("Failure responses", row.failure_triggers),
            ("Failures since last success", row.failure_since_last_success),
        ],
        "cleared": next_attempt.cleared_backoffs(row)[:_MAX_CLEARED],
        "chart": chart(row),
        "causes": causes.read([row.pk]),
        "calling": Delivery.objects.filter(webhook=row, state=Delivery.CALLING).count(),
    }


def chart(row: Webhook) -> dict[str, Any]:
    """Return the latest attempts: bars from the oldest to the newest, rows from the newest."""
    rows = list(Attempt.objects.filter(webhook=row).order_by("-pk").values(*_COLUMNS)[:LATEST])
    longest = max([_MIN_AXIS_MS, *(each["duration"] for each in rows)])
    first = LATEST - len(rows)
    ticks = []
    for duration in _TICKS_MS:
        if duration <= longest:
            y = round(_HIGHEST - _height(duration, longest), 1)
            # Of the height, from the top.
            percent = round(100 * y / _TOTAL, 1)
            ticks.append({"label": format_span(duration / 1000), "y": y, "percent": percent})
    return {
        "bars": [_bar(each, first + n, longest) for n, each in enumerate(reversed(rows))],
        "rows": rows,
        "ticks": ticks,
        "text": _as_text(rows),
        "places": LATEST,
        "width": LATEST * _STEP,
        "height": _TOTAL,
        # The axis, and below it the marks of failures.
        "base": _HIGHEST,
        "marks": _HIGHEST + 6,
    }


def _height(duration: int, longest: int) -> float:
    # Logarithmic: milliseconds and a timeout of five minutes share the axis.
    share = math.log1p(max(0, duration)) / math.log1p(longest)
    return round(_LOWEST + (_HIGHEST - _LOWEST) * share, 1)


def _bar(attempt: Mapping[str, Any], place: int, longest: int) -> dict[str, Any]:
    height = _height(attempt["duration"], longest)
    status = attempt["status_code"] or "no response"
    text = (
        f"{format_moment(attempt['started_at'])}: {attempt['outcome']} ({status}), "
        f"{format_span(attempt['duration'] / 1000)}"
    )
    y, outcome = round(_HIGHEST - height, 1), attempt["outcome"]
    return {"x": place * _STEP, "y": y, "height": height, "outcome": outcome, "text": text}


def _as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the outcomes, counted: `3 successes, 1 failure`."""
    counts = Counter(row["outcome"] for row in rows)
    labels = (("success", "successes"), ("failure", "failures"), ("unknown", "unknown"))
    return ", ".join(
        f"{counts[one]} {one if counts[one] == 1 else many}" for one, many in labels if counts[one]
    )
