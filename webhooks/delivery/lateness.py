"""When claimed deliveries were due, to measure how late their requests start.

Not since their creation: a delivery that waits for the end of a backoff is not late. It is due once
its webhook's backoff is over, which a success or a user may end early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from requests_queue import sql
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.types import EVENT


def with_due(
    claimed: Sequence[ClaimedDelivery], created: Mapping[int, Any], read_at: float
) -> list[ClaimedDelivery]:
    """Return the deliveries with their due time where it is known; one statement.

    `created` has their `created_at` as the database returned it; `read_at` is when the time of the
    claim was read (monotonic seconds). Validators are called at once and are never due.
    """
    ends = _backoff_ends({c.webhook["id"] for c in claimed})
    return [
        each if (due := _due(each, created[each.delivery_id], ends)) is None
        else replace(each, due=read_at - max(0.0, (each.started_at - due).total_seconds()))
        for each in claimed
    ]  # fmt: skip


def _backoff_ends(webhook_ids: set[str]) -> dict[str, list[datetime]]:
    """Return, for each webhook, when its backoff ends and when the last one was cleared."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, earliest_possible_trigger,
                (SELECT MAX(at) FROM webhooks_clearedbackoff WHERE webhook_id = w.id)
            FROM webhooks_webhook w WHERE id IN ({sql.placeholders(list(webhook_ids))})
            """,
            list(webhook_ids),
        )
        return {pk: [_moment(end) for end in ends if end] for pk, *ends in cursor.fetchall()}


def _due(
    claimed: ClaimedDelivery, created: Any, ends: Mapping[str, list[datetime]]
) -> datetime | None:
    """Return when the delivery was due, None if that isn't known."""
    if claimed.webhook["type"] != EVENT:
        return None
    at = _moment(created)
    if claimed.forced:
        return at
    later = [end for end in ends.get(claimed.webhook["id"], ()) if end > at]
    # A repeated attempt without a backoff follows one whose outcome is unknown.
    return max(later) if later else at if claimed.number == 1 else None


def _moment(value: Any) -> datetime:
    """Return a datetime of a raw query: SQLite's have no time zone, and may be text."""
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
