"""The statistics of a webhook: its counters, its latest attempts, what ended its backoffs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from requests_queue.safe_text import visible
from requests_queue.time_format import format_moment, format_span
from webhooks.delivery import next_attempt
from webhooks.models import Attempt, Delivery, Webhook

LATEST = 50
_CLEARED = 5  # ended backoffs that are shown
_COLUMNS = ("delivery_id", "number", "outcome", "status_code", "duration",
            "started_at")  # fmt: skip
# The chart, in units of its own: a bar's place is 12 wide, the tallest one 100 high.
_STEP, _BAR, _TALL, _LOW = 12, 9, 100, 4
# The tallest bar stands for a second at least: a handler's usual milliseconds stay low.
_LEAST_MS = 1000


@dataclass(frozen=True, slots=True)
class AttemptBar:
    """An attempt in the chart."""

    x: int
    y: float
    height: float
    outcome: str
    said: str


@dataclass(frozen=True, slots=True)
class AttemptChart:
    """The latest attempts: as bars from the oldest to the newest, and as rows from the newest."""

    bars: list[AttemptBar]
    rows: list[dict[str, Any]]
    longest: str
    said: str
    width: int = LATEST * _STEP
    height: int = _TALL + 12
    # Where the line is, and below it the marks of failures.
    tall: int = _TALL
    base: int = _TALL + 6


def counters(row: Webhook) -> list[tuple[str, int]]:
    """Return the five counters by Connect's names."""
    return [
        ("Events", row.events),
        ("Triggers", row.triggers),
        ("Success responses", row.success_triggers),
        ("Failure responses", row.failure_triggers),
        ("Failures since last success", row.failure_since_last_success),
    ]


def recent_cleared_backoffs(row: Webhook) -> list[tuple[datetime, str]]:
    """Return when the latest backoffs ended, and what ended them; the latest first."""
    return [
        (one.at, visible(next_attempt.describe_cleared(one)))
        for one in next_attempt.cleared_backoffs(row)[:_CLEARED]
    ]


def pending(row: Webhook) -> dict[str, int]:
    """Return how many deliveries are pending, and how many requests are in flight."""
    rows = Delivery.objects.filter(webhook=row)
    # By `forced` apart: each has an index of its own, and there may be 100,000.
    waiting = [rows.filter(state=Delivery.WAITING, forced=forced) for forced in (False, True)]
    return {
        "waiting": sum(found.count() for found in waiting),
        "calling": rows.filter(state=Delivery.CALLING).count(),
    }


def chart(row: Webhook) -> AttemptChart:
    """Return the latest attempts."""
    latest = Attempt.objects.filter(webhook=row).order_by("-pk")
    rows: list[dict[str, Any]] = [dict(found) for found in latest.values(*_COLUMNS)[:LATEST]]
    longest = max([_LEAST_MS, *(found["duration"] for found in rows)])
    first = LATEST - len(rows)
    bars = [_bar(found, first + n, longest) for n, found in enumerate(reversed(rows))]
    return AttemptChart(bars, rows, format_span(longest / 1000), _said(rows))


def _bar(found: dict[str, Any], place: int, longest: int) -> AttemptBar:
    # By the logarithm: milliseconds and the five minutes of a timeout share a chart.
    share = math.log1p(max(0, found["duration"])) / math.log1p(longest)
    height = round(_LOW + (_TALL - _LOW) * share, 1)
    status = found["status_code"] or "no answer"
    said = (
        f"{format_moment(found['started_at'])}: {found['outcome']} ({status}), "
        f"{format_span(found['duration'] / 1000)}"
    )
    return AttemptBar(place * _STEP, round(_TALL - height, 1), height, found["outcome"], said)


def _said(rows: list[dict[str, Any]]) -> str:
    counted = {
        outcome: sum(found["outcome"] == outcome for found in rows)
        for outcome in (Attempt.SUCCESS, Attempt.FAILURE, Attempt.UNKNOWN)
    }
    words = (("success", "successes"), ("failure", "failures"), ("unknown", "unknown"))
    parts = [
        f"{count} {one if count == 1 else many}"
        for (one, many), count in zip(words, counted.values(), strict=True)
        if count
    ]
    return ", ".join(parts)
