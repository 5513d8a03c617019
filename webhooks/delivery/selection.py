"""Select the deliveries that may start now, for a claim.

Forced deliveries come first, then the oldest ones of each webhook, within its backoff, its limit
of requests in flight, its share of the slots, and one at a time after a failure.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection

from requests_queue import sql
from webhooks.delivery import candidates
from webhooks.delivery.slots import Selection, Slots


def select(limit: int, now: datetime, slots: Slots | None = None) -> list[int]:
    """Return the ids of up to `limit` deliveries that may start now, in order."""
    return list(find(limit, now, slots).ids)


def find(
    limit: int, now: datetime, slots: Slots | None = None, *, has_forced: bool = True
) -> Selection:
    """Return up to `limit` deliveries that may start now, in order; without forced ones nothing is
    read of them."""
    selection = Selection(limit, slots)
    if has_forced:
        _select_forced(selection)
    _select_due(selection, now)
    if selection.slots is not None and not selection.slots.unreserved:
        selection.responds = True
        if has_forced:
            _select_forced(selection)
        _select_due(selection, now)
    return selection


def _select_forced(selection: Selection) -> None:
    """Select the oldest forced deliveries; only the slots limit those of one webhook."""
    limit = selection.limit if selection.slots is None else selection.slots.total
    share = selection.share(limit)
    if selection.left <= 0 or not share:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, webhook_id, in_flight FROM (
                SELECT d.id, d.webhook_id, (SELECT COUNT(*) FROM webhooks_delivery c
                    {sql.indexed_by("delivery_calling")} WHERE c.webhook_id = d.webhook_id
                    AND c.state = 'calling' AND c.forced) AS in_flight
                FROM webhooks_delivery d JOIN webhooks_webhook w ON w.id = d.webhook_id
                WHERE d.state = 'waiting' AND d.forced AND w.active
                {"AND w.responds" if selection.responds else ""}
            ) candidate WHERE in_flight < %s ORDER BY id LIMIT %s
            """,
            [share, selection.limit],
        )
        rows = cursor.fetchall()
    selection.has_more |= len(rows) == selection.limit
    for pk, webhook_id, in_flight in rows:
        selection.offer(pk, webhook_id, True, in_flight, limit)


def _select_due(selection: Selection, now: datetime) -> None:
    """Select the oldest pending deliveries, of webhooks with few requests in flight first."""
    share = selection.share(settings.SIM_MAX_IN_FLIGHT)
    if selection.left <= 0 or not share:
        selection.has_more |= selection.left <= 0
        return
    for rows in candidates.read(selection, now, share):
        left = selection.left
        selection.has_more |= any(min(cap, share) - used > left for _, _, used, cap in rows)
        for pk, webhook_id, in_flight, cap in rows:
            selection.offer(pk, webhook_id, False, in_flight, cap)
