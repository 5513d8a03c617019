"""Which deliveries may be called now: one short transaction that takes them (`claim`).

Every rule of the order stands here: forced ones first, then each webhook's oldest, within its
gate, its cap, and the probe after a failure. One claim at a time, so the rules hold across
workers as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min

from requests_queue import clock
from webhooks import resending, retry, sql
from webhooks.calls import Claimed, Finished
from webhooks.models import Delivery, Webhook

LEASE = 30.0  # seconds; a killed worker's deliveries come back after it
_CHUNK = 100  # parts of one compound SELECT; SQLite takes 500

_COLUMNS = (
    "id",
    "type",
    "label",
    "object_class",
    "account_id",
    "product_id",
    "external_url",
    "http_method",
    "jwt_secret",
    "headers",
    "data",
    "revision",
)


def claim(slots: int) -> list[Claimed]:
    """Take up to `slots` deliveries that may start now, for LEASE seconds."""
    with transaction.atomic():
        sql.one_claim_at_a_time()
        now = clock.now()
        chosen = _forced(slots)
        if len(chosen) < slots:
            chosen += _due(slots - len(chosen), now)
        return take(chosen, now) if chosen else []


def peek(now: datetime) -> list[int]:
    """Return deliveries that could start now, one at least if there are any."""
    return _forced(1) or _due(1, now)


def _forced(slots: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.id FROM webhooks_delivery d JOIN webhooks_webhook w ON w.id = d.webhook_id
            WHERE d.state = 'waiting' AND d.forced AND w.active ORDER BY d.id LIMIT %s
            """,
            [slots],
        )
        return [row[0] for row in cursor.fetchall()]


def _due(slots: int, now: datetime) -> list[int]:
    """Return the oldest waiting deliveries of the webhooks that may start something."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, free FROM (
                SELECT w.id,
                    CASE WHEN w.earliest_possible_trigger IS NULL THEN %s ELSE 1 END
                        - COALESCE(b.under_way, 0) AS free,
                    (SELECT MIN(d.id) FROM webhooks_delivery d {sql.indexed_by("delivery_waiting")}
                        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND NOT d.forced) AS head
                FROM webhooks_webhook w LEFT JOIN (
                    SELECT webhook_id, COUNT(*) AS under_way FROM webhooks_delivery
                    WHERE state = 'calling' AND NOT forced GROUP BY webhook_id
                ) b ON b.webhook_id = w.id
                WHERE w.active AND NOT w.out_of_order
                AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
            ) candidate
            WHERE head IS NOT NULL AND free > 0 ORDER BY head LIMIT %s
            """,
            [settings.SIM_MAX_IN_FLIGHT, sql.moment(now), slots],
        )
        wanted = cursor.fetchall()
    chosen: list[int] = []
    for at in range(0, len(wanted), _CHUNK):
        chosen += _oldest(wanted[at : at + _CHUNK], slots - len(chosen))
    return chosen


def _oldest(wanted: Sequence[tuple[str, int]], slots: int) -> list[int]:
    """Return the oldest waiting deliveries: up to `free` of each webhook, up to `slots` in all.

    One index look-up for each, so a backlog behind a gate costs the others nothing.
    """
    waiting = sql.indexed_by("delivery_waiting")
    parts: list[str] = []
    params: list[Any] = []
    for webhook_id, free in wanted:
        parts.append(
            f"SELECT id FROM (SELECT id FROM webhooks_delivery {waiting} WHERE webhook_id = %s "
            "AND state = 'waiting' AND NOT forced ORDER BY id LIMIT %s) part"
        )
        params += [webhook_id, min(free, slots)]
    if not parts or slots <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return sorted(row[0] for row in cursor.fetchall())[:slots]


def take(chosen: Sequence[int], now: datetime, lease: float = LEASE) -> list[Claimed]:
    """Take those of the deliveries that wait, for `lease` seconds; call inside a transaction."""
    token = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE webhooks_delivery
            SET state = 'calling', claim = %s, lease = {sql.epoch()} + %s, started_at = %s
            WHERE state = 'waiting' AND id IN ({sql.marks(chosen)})
            RETURNING id, webhook_id, attempts, forced
            """,
            [sql.uuid_(token), lease, sql.moment(now), *chosen],
        )
        taken = sorted(cursor.fetchall())
    webhooks = load({row[1] for row in taken})
    return resending.apply(
        Claimed(pk, token, attempts + 1, bool(forced), now, webhooks[webhook_id])
        for pk, webhook_id, attempts, forced in taken
    )


def load(webhook_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return what calls need of the webhooks, by id."""
    rows = Webhook.objects.filter(pk__in=webhook_ids).values(
        *_COLUMNS,
        last_success_at=F("last_success__finished_at"),
        last_failure_at=F("last_failure__finished_at"),
    )
    return {row["id"]: row for row in rows}


def renew(claimed: Sequence[Claimed]) -> None:
    """Prolong the leases of calls under way, except of rows that another transaction holds."""
    if not claimed:
        return
    ids, tokens = [c.delivery_id for c in claimed], {c.claim for c in claimed}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE webhooks_delivery SET lease = {sql.epoch()} + %s WHERE id IN (
                SELECT id FROM webhooks_delivery
                WHERE state = 'calling' AND id IN ({sql.marks(ids)})
                AND claim IN ({sql.marks(list(tokens))}) {sql.skip_locked()}
            )
            """,
            [LEASE, *ids, *map(sql.uuid_, tokens)],
        )


def give_back() -> None:
    """Let every lease run out now: for a process that knows itself to be the only one."""
    Delivery.objects.filter(state=Delivery.CALLING).update(lease=0)


def abandoned() -> list[Finished]:
    """Return the calls whose worker is lost, as calls whose outcome is unknown."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM webhooks_delivery {sql.indexed_by("delivery_calling")}
            WHERE state = 'calling' AND lease < {sql.epoch()} ORDER BY id LIMIT 1000
            """
        )
        ids = [row[0] for row in cursor.fetchall()]
    if not ids:
        return []
    rows = list(Delivery.objects.filter(pk__in=ids, claim__isnull=False))
    webhooks = load({row.webhook_id for row in rows})
    lost = resending.apply(
        Claimed(
            row.pk, row.claim, row.attempts + 1, row.forced, row.started_at,
            webhooks[row.webhook_id],
        )
        for row in rows
        if row.claim and row.started_at and row.webhook_id in webhooks
    )  # fmt: skip
    said = "The worker was lost during the call; what the handler answered is unknown."
    return [Finished(claimed, retry.UNKNOWN, 0, error=said) for claimed in lost]


def next_due(now: datetime) -> datetime | None:
    """Return when the next gate opens behind which something waits, or None."""
    waiting = Delivery.objects.filter(state=Delivery.WAITING, forced=False)
    gates = Webhook.objects.filter(
        active=True, out_of_order=False, earliest_possible_trigger__gt=now
    ).filter(pk__in=waiting.values("webhook"))
    found: datetime | None = gates.aggregate(at=Min("earliest_possible_trigger"))["at"]
    return found
