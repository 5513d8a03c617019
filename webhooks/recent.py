"""What calls were made lately, counted by minute: an index tells, no attempt is read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from requests_queue.catalog.models import Account
from webhooks.delivery import sql
from webhooks.models import Attempt

MINUTES = 60


@dataclass(frozen=True, slots=True)
class Minute:
    """The calls that ended in one minute, by outcome."""

    at: datetime
    success: int = 0
    failure: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """How many calls ended."""
        return self.success + self.failure + self.unknown


def last_hour(account: Account, now: datetime) -> list[Minute]:
    """Return the account's last sixty minutes, the oldest first; the last one is under way."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    first = last - timedelta(minutes=MINUTES - 1)
    found = _counted(account, first)
    moments = (first + timedelta(minutes=n) for n in range(MINUTES))
    return [Minute(at, **found[f"{at:%Y-%m-%d %H:%M}"]) for at in moments]


def _counted(account: Account, first: datetime) -> dict[str, dict[str, int]]:
    """Return the number of calls by minute and outcome."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {sql.minute("a.finished_at")} AS minute, a.outcome, COUNT(*)
            FROM webhooks_webhook w JOIN webhooks_attempt a ON a.webhook_id = w.id
            WHERE w.account_id = %s AND w.deleted_at IS NULL AND a.finished_at >= %s
            GROUP BY minute, a.outcome
            """,
            [account.pk, sql.moment(first)],
        )
        for minute, outcome, count in cursor.fetchall():
            if outcome in (Attempt.SUCCESS, Attempt.FAILURE, Attempt.UNKNOWN):
                found[minute][outcome] = count
    return found
