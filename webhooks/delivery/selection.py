"""Select the deliveries that may start now, for a claim.

Forced deliveries come first, then the oldest ones of each webhook, within its backoff, its limit
of requests in flight, its share of the slots, and one at a time after a failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from requests_queue import prepared, sql
from webhooks.delivery.slots import Selection, Slots

# Webhooks whose deliveries one statement reads. On SQLite they are parts of one compound SELECT, of
# which it takes 500.
_CHUNK = 250

# Two ways to count the requests in flight on SQLite: for each webhook, or for all at once.
_COUNT_EACH = """
    (SELECT COUNT(*) FROM webhooks_delivery c
        WHERE c.webhook_id = w.id AND c.state = 'calling' AND NOT c.forced)
"""
_COUNT_ALL = (
    "COALESCE(c.in_flight, 0)",
    """
    LEFT JOIN (
        SELECT webhook_id, COUNT(*) AS in_flight FROM webhooks_delivery
        WHERE state = 'calling' AND NOT forced GROUP BY webhook_id
    ) c ON c.webhook_id = w.id
    """,
)
# A delivery that has lost its workers waits alone, until its own due date.
_IS_DUE = "(due_at IS NULL OR due_at <= %(now)s)"
# Entries of an index that PostgreSQL reads at a time: with one, a search of the index for each
# webhook with pending deliveries takes most of a claim; with many, so do the backlogs of a few.
_PART = 16
# The oldest pending deliveries of the first webhooks, or of the next ones `after` one, from the
# entries of `delivery_waiting`. The limit is a subquery, whose value PostgreSQL doesn't know: with
# statistics from a time when little was pending, it would read and sort all entries for each part.
_HEADS = f"""
    SELECT array_agg(webhook_id) AS webhooks, array_agg(id) AS heads, MAX(webhook_id) AS last FROM (
        SELECT DISTINCT ON (webhook_id) webhook_id, id FROM (
            SELECT webhook_id, id FROM webhooks_delivery
            WHERE state = 'waiting' AND NOT forced AND {_IS_DUE} {{after}}
            ORDER BY webhook_id, id LIMIT (SELECT {_PART})
        ) entry ORDER BY webhook_id, id
    ) head
"""
# Of webhooks without pending deliveries nothing is read: from a part of the index it goes on with
# the first entry of the webhook that follows. A webhook's first entry has its oldest delivery.
_PENDING = """
    part AS (
        {first}
        UNION ALL
        SELECT following.* FROM part CROSS JOIN LATERAL ({following}) following
        WHERE part.last IS NOT NULL
    ), pending AS (
        SELECT UNNEST(webhooks) AS webhook_id, UNNEST(heads) AS head FROM part
    )
""".format(
    first=_HEADS.format(after=""), following=_HEADS.format(after="AND webhook_id > part.last")
)
# With `responds`, thousands may be pending and few webhooks remain: those are read first.
_PENDING_RESPONDING = f"""
    pending AS MATERIALIZED (
        SELECT w.id AS webhook_id, head.id AS head FROM webhooks_webhook w CROSS JOIN LATERAL (
            SELECT id FROM webhooks_delivery
            WHERE webhook_id = w.id AND state = 'waiting' AND NOT forced AND {_IS_DUE}
            ORDER BY id LIMIT 1
        ) head WHERE w.active AND w.responds
    )
"""
# PostgreSQL reads webhooks and deliveries in one statement. OFFSET 0 makes it look up each webhook:
# it expects many pending ones, and would read all webhooks for the one that is usual.
_DUE = """
    WITH RECURSIVE {pending}, due AS (
        SELECT w.id AS webhook_id, pending.head, c.in_flight,
            CASE WHEN w.earliest_possible_trigger IS NULL THEN %(most)s::int ELSE 1 END AS cap
        FROM pending CROSS JOIN LATERAL (
            SELECT id, earliest_possible_trigger FROM webhooks_webhook
            WHERE id = pending.webhook_id AND active AND NOT out_of_order
            AND (earliest_possible_trigger IS NULL OR earliest_possible_trigger <= %(now)s)
            OFFSET 0
        ) w CROSS JOIN LATERAL (
            SELECT COUNT(*) AS in_flight FROM webhooks_delivery
            WHERE webhook_id = w.id AND state = 'calling' AND NOT forced
        ) c
    )
    SELECT d.id, chunk.webhook_id, in_flight, cap FROM (
        SELECT webhook_id, in_flight, cap FROM due
        WHERE in_flight < cap AND in_flight < %(share)s::int
        ORDER BY in_flight, head LIMIT %(webhooks)s::int OFFSET %(offset)s::int
    ) chunk CROSS JOIN LATERAL (
        SELECT id FROM webhooks_delivery
        WHERE webhook_id = chunk.webhook_id AND state = 'waiting' AND NOT forced AND {is_due}
        ORDER BY id LIMIT LEAST(cap - in_flight, %(share)s::int - in_flight, %(left)s::int)
    ) d ORDER BY d.id
"""
_DUE_ALL, _DUE_RESPONDING = (
    _DUE.format(pending=pending, is_due=_IS_DUE) for pending in (_PENDING, _PENDING_RESPONDING)
)
# A delivery's id, its webhook's, and the requests in flight and the limit of the webhook.
_Row = tuple[int, str, int, int]


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
    for rows in _read_due(selection, now, share):
        left = selection.left
        selection.has_more |= any(min(cap, share) - used > left for _, _, used, cap in rows)
        for pk, webhook_id, in_flight, cap in rows:
            selection.offer(pk, webhook_id, False, in_flight, cap)


def _read_due(selection: Selection, now: datetime, share: int) -> Iterator[list[_Row]]:
    """Yield the oldest pending deliveries of webhooks that may start something, with few requests
    in flight first, while any more may be selected.

    Set `has_more` of the selection if its limit keeps others out.
    """
    by_vendor = _read_postgresql if connection.vendor == "postgresql" else _read_sqlite
    return by_vendor(selection, now, share)


def _read_postgresql(selection: Selection, now: datetime, share: int) -> Iterator[list[_Row]]:
    statement = _DUE_RESPONDING if selection.responds else _DUE_ALL
    for offset in range(0, selection.limit, _CHUNK):
        if selection.left <= 0:
            break
        count = min(_CHUNK, selection.limit - offset)
        values = {
            "most": settings.SIM_MAX_IN_FLIGHT,
            "now": sql.datetime_param(now),
            "share": share,
            "webhooks": count,
            "offset": offset,
            "left": selection.left,
        }
        rows = prepared.fetch(statement, values)
        yield rows
        if len({row[1] for row in rows}) < count:
            return
    selection.has_more = True


def _read_sqlite(selection: Selection, now: datetime, share: int) -> Iterator[list[_Row]]:
    webhooks = _due_webhooks(selection, now, share)
    selection.has_more |= len(webhooks) == selection.limit
    counts = [(pk, min(cap, share) - in_flight) for pk, (in_flight, cap) in webhooks.items()]
    for start in range(0, len(counts), _CHUNK):
        if selection.left <= 0:
            selection.has_more = True
            break
        chunk = _oldest(counts[start : start + _CHUNK], selection.left, now)
        yield [(pk, webhook_id, *webhooks[webhook_id]) for pk, webhook_id in chunk]


def _due_webhooks(selection: Selection, now: datetime, share: int) -> dict[str, tuple[int, int]]:
    """Return the webhooks that may start something, with their requests in flight and limits."""
    # With `responds`, thousands may be in flight and few webhooks remain. The count is evaluated
    # after the other conditions.
    count, join = (_COUNT_EACH, "") if selection.responds else _COUNT_ALL
    moment = sql.datetime_param(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, in_flight, cap FROM (
                SELECT w.id, {count} AS in_flight,
                    CASE WHEN w.earliest_possible_trigger IS NULL THEN %s ELSE 1 END AS cap,
                    (SELECT MIN(d.id) FROM webhooks_delivery d INDEXED BY delivery_waiting
                        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND NOT d.forced
                        AND (d.due_at IS NULL OR d.due_at <= %s)) AS head
                FROM webhooks_webhook w {join}
                WHERE w.active AND NOT w.out_of_order
                AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
                {"AND w.responds" if selection.responds else ""}
            ) candidate
            WHERE head IS NOT NULL AND in_flight < cap AND in_flight < %s
            ORDER BY in_flight, head LIMIT %s
            """,
            [settings.SIM_MAX_IN_FLIGHT, moment, moment, share, selection.limit],
        )
        return {pk: (in_flight, cap) for pk, in_flight, cap in cursor.fetchall()}


def _oldest(counts: Sequence[tuple[str, int]], limit: int, now: datetime) -> list[tuple[int, str]]:
    """Return the oldest pending deliveries and their webhooks: up to `n` of each webhook.

    One index lookup per webhook, so a backlog during a backoff doesn't slow the others down.
    """
    parts: list[str] = []
    params: list[Any] = []
    for webhook_id, n in counts:
        parts.append(
            "SELECT id, webhook_id FROM (SELECT id, webhook_id FROM webhooks_delivery "
            "INDEXED BY delivery_waiting "
            "WHERE webhook_id = %s AND state = 'waiting' AND NOT forced "
            "AND (due_at IS NULL OR due_at <= %s) ORDER BY id LIMIT %s) part"
        )
        params += [webhook_id, sql.datetime_param(now), min(n, limit)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return sorted(cursor.fetchall())
