"""When claimed deliveries were due, to measure how late their requests start.

Not since their creation: a delivery that waits for the end of a backoff or for its own due date is
not late. It is due once its webhook's backoff is over, which a success or a user may end early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connection

from requests_queue import sql
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.signals import request_sent
from webhooks.types import EVENT

# A claimed row: the delivery's id, its webhook's, attempts made, whether it is forced, created_at
# and due_at as the database returned them.
Row = tuple[int, str, int, bool, Any, Any]


def due_times(
    rows: Sequence[Row], webhooks: Mapping[str, Mapping[str, Any]], now: datetime, read_at: float
) -> dict[int, float]:
    """Return when the deliveries were due (monotonic seconds), where it is known; one statement.

    `read_at` is when `now` was read, in monotonic seconds. Validators are called at once and are
    never due.
    """
    ends = _backoff_ends(webhooks)
    return {
        pk: read_at - max(0.0, (now - due).total_seconds())
        for pk, webhook_id, attempts, forced, created, own in rows
        if webhook_id in webhooks
        and webhooks[webhook_id]["type"] == EVENT
        and (due := _due(_moment(created), attempts, forced, own, ends.get(webhook_id, ())))
    }


def _backoff_ends(webhook_ids: Iterable[str]) -> dict[str, list[datetime]]:
    """Return, for each webhook, when its backoff ends and when the last one was cleared."""
    ids = list(webhook_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, earliest_possible_trigger,
                (SELECT MAX(at) FROM webhooks_clearedbackoff WHERE webhook_id = w.id)
            FROM webhooks_webhook w WHERE id IN ({sql.placeholders(ids)})
            """,
            ids,
        )
        return {pk: [_moment(end) for end in ends if end] for pk, *ends in cursor.fetchall()}


def _due(
    created: datetime, attempts: int, forced: bool, own: Any, ends: Iterable[datetime]
) -> datetime | None:
    """Return when a delivery of an event was due, None if that isn't known."""
    if forced:
        return created
    own_ends = [_moment(own)] if own else []
    due = max((end for end in (*ends, *own_ends) if end > created), default=None)
    # A repeated attempt without a backoff follows one whose outcome is unknown.
    return due or (created if not attempts else None)


def _moment(value: Any) -> datetime:
    """Return a datetime of a raw query: SQLite's have no time zone, and may be text."""
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def reporter(claimed: ClaimedDelivery) -> Callable[[], object] | None:
    """Return what reports the first byte of a request, None for one that is not measured."""
    if claimed.due is None:
        return None
    return partial(request_sent.send, ClaimedDelivery, claimed=claimed)
