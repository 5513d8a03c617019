"""The last hour: an account's attempts by minute and outcome, as a chart of stacked bars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from portal import charts
from requests_queue.catalog.models import Account
from requests_queue.db import sql

MINUTES = 60


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """The number of attempts that finished in one minute, by outcome."""

    at: datetime
    success: int = 0
    failure: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """Return the number of all attempts."""
        return self.success + self.failure + self.unknown


def last_hour(account: Account, now: datetime) -> list[MinuteCounts]:
    """Return the account's last 60 minutes, the oldest first; the current one is the last."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    first = last - timedelta(minutes=MINUTES - 1)
    # The index alone is read.
    rows = sql.fetch(
        f"""
        SELECT {sql.minute_of("a.finished_at")} AS minute, a.outcome, COUNT(*)
        FROM webhooks_webhook w JOIN webhooks_attempt a ON a.webhook_id = w.id
        WHERE w.account_id = %s AND w.deleted_at IS NULL AND a.finished_at >= %s
        GROUP BY minute, a.outcome
        """,
        [account.pk, sql.datetime_param(first)],
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for minute, outcome, count in rows:
        counts[minute][outcome] = count
    minutes = (first + timedelta(minutes=n) for n in range(MINUTES))
    return [MinuteCounts(at, **counts[f"{at:%Y-%m-%d %H:%M}"]) for at in minutes]


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
