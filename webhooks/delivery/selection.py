"""Select the deliveries that may start now, for a claim.

Forced deliveries come first, then the oldest ones of each webhook, within its backoff, its limit
of requests in flight, its share of the slots, and one at a time after a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from requests_queue import sql

_CHUNK = 250  # parts of one compound SELECT; SQLite takes 500

# Whether the last request of webhook `w` got a response, of any status.
_RESPONDS = """
    AND CASE WHEN w.failure_since_last_success = 0 THEN w.last_success_id IS NOT NULL
    ELSE EXISTS (SELECT 1 FROM webhooks_attempt a
        WHERE a.id = w.last_failure_id AND a.status_code IS NOT NULL) END
"""
# Two ways to count the requests in flight: for each webhook, or for all at once.
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


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a process, and how many of them are in use; shared fairly by `share`.

    A handler that hangs uses a slot for minutes. So a webhook's share shrinks as slots fill: the
    second half is for webhooks with nothing in flight, and the last tenth for those of them whose
    last request got a response.
    """

    total: int
    used: int = 0

    @property
    def free(self) -> int:
        """Return how many requests may start."""
        return max(0, self.total - self.used)

    @property
    def unreserved(self) -> int:
        """Return how many requests of webhooks whose last request got no response may start."""
        return max(0, self.total - self.total // 10 - self.used)

    def taken(self, count: int) -> Slots:
        """Return the slots with `count` more in use."""
        return Slots(self.total, self.used + count)

    def share(self, limit: int, *, responds: bool) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most.

        It is the limit until a quarter of the slots is in use, then it shrinks to 1 at a half. The
        last tenth is only for webhooks that `responds` is true for.
        """
        if not self.free:
            return 0
        quarter, half = self.total // 4, max(1, self.total // 2)
        if self.used < quarter:
            return limit
        if self.used < half:
            return 1 + (limit - 1) * (half - self.used) // (half - quarter)
        return 1 if responds or self.unreserved else 0


@dataclass(slots=True)
class Selection:
    """The deliveries selected so far, `limit` at most, each within its webhook's share of `slots`.

    Without slots, nothing is shared. With `responds`, only webhooks whose last request got a
    response are considered; they may use the last slots. `has_more`: only the limit may have kept
    others out.
    """

    limit: int
    slots: Slots | None = None
    responds: bool = False
    ids: dict[int, None] = field(default_factory=dict)
    has_more: bool = False
    # Requests in flight and deliveries selected, by webhook and whether they are forced.
    _used: dict[tuple[str, bool], int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Return how many more may be selected."""
        return self.limit - len(self.ids)

    def share(self, limit: int) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most."""
        if self.slots is None:
            return limit
        return self.slots.share(limit, responds=self.responds)

    def offer(self, pk: int, webhook_id: str, forced: bool, in_flight: int, limit: int) -> None:
        """Select the delivery of a webhook with requests in flight, if its share allows it."""
        used = self._used.setdefault((webhook_id, forced), in_flight)
        if pk in self.ids or used >= self.share(limit):
            return
        if self.left <= 0:
            self.has_more = True
            return
        self.ids[pk] = None
        self._used[webhook_id, forced] = used + 1
        self.slots = self.slots and self.slots.taken(1)


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
                {_RESPONDS if selection.responds else ""}
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
    webhooks = _due_webhooks(selection, now, share)
    selection.has_more |= len(webhooks) == selection.limit
    counts = [(pk, min(cap, share) - in_flight) for pk, (in_flight, cap) in webhooks.items()]
    for start in range(0, len(counts), _CHUNK):
        if selection.left <= 0:
            selection.has_more = True
            break
        chunk = counts[start : start + _CHUNK]
        selection.has_more |= any(count > selection.left for _, count in chunk)
        for pk, webhook_id in _oldest(chunk, selection.left):
            selection.offer(pk, webhook_id, False, *webhooks[webhook_id])


def _due_webhooks(selection: Selection, now: datetime, share: int) -> dict[str, tuple[int, int]]:
    """Return the webhooks that may start something, with their requests in flight and limits."""
    # With `responds`, thousands may be in flight and few webhooks remain. Only SQLite evaluates
    # the count after the other conditions; PostgreSQL would count for every webhook.
    is_each_cheap = selection.responds and connection.vendor == "sqlite"
    count, join = (_COUNT_EACH, "") if is_each_cheap else _COUNT_ALL
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, in_flight, cap FROM (
                SELECT w.id, {count} AS in_flight,
                    CASE WHEN w.earliest_possible_trigger IS NULL THEN %s ELSE 1 END AS cap,
                    (SELECT MIN(d.id) FROM webhooks_delivery d {sql.indexed_by("delivery_waiting")}
                        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND NOT d.forced) AS head
                FROM webhooks_webhook w {join}
                WHERE w.active AND NOT w.out_of_order
                AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
                {_RESPONDS if selection.responds else ""}
            ) candidate
            WHERE head IS NOT NULL AND in_flight < cap AND in_flight < %s
            ORDER BY in_flight, head LIMIT %s
            """,
            [settings.SIM_MAX_IN_FLIGHT, sql.datetime_param(now), share, selection.limit],
        )
        return {pk: (in_flight, cap) for pk, in_flight, cap in cursor.fetchall()}


def _oldest(counts: Sequence[tuple[str, int]], limit: int) -> list[tuple[int, str]]:
    """Return the oldest pending deliveries and their webhooks: up to `n` of each webhook.

    One index lookup per webhook, so a backlog during a backoff doesn't slow the others down.
    """
    index = sql.indexed_by("delivery_waiting")
    parts: list[str] = []
    params: list[Any] = []
    for webhook_id, n in counts:
        parts.append(
            f"SELECT id, webhook_id FROM (SELECT id, webhook_id FROM webhooks_delivery {index} "
            "WHERE webhook_id = %s AND state = 'waiting' AND NOT forced ORDER BY id LIMIT %s) part"
        )
        params += [webhook_id, min(n, limit)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return sorted(cursor.fetchall())
