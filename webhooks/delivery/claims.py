"""Which deliveries may be called now: one short transaction that takes them (`claim`).

Every rule of the order stands here: forced ones first, then each webhook's oldest, within its
gate, its cap, its share of the slots, and the probe after a failure. One claim at a time, so the
rules hold across workers as well. A delivery that another transaction has locked is passed over,
so that a claim waits for nobody.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, Min, OuterRef

from requests_queue import clock
from webhooks.delivery import retry, sql
from webhooks.delivery.in_flight import AttemptResult, ClaimedDelivery, ResendOverride, with_resend
from webhooks.delivery.slots import Slots
from webhooks.models import Delivery, Resend, Webhook

LEASE = 30.0  # seconds; a killed worker's deliveries come back after it
MAX_BATCH = 500  # deliveries of one statement, so that locks are held for milliseconds
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
    # Which backoff it was claimed in, if any.
    "gate_closed_at",
)
# Whether the last request of webhook `w` got a response, whatever its status.
_RESPONDS = """
    AND CASE WHEN w.failure_since_last_success = 0 THEN w.last_success_id IS NOT NULL
    ELSE EXISTS (SELECT 1 FROM webhooks_attempt a
        WHERE a.id = w.last_failure_id AND a.status_code IS NOT NULL) END
"""
# Two ways to count a webhook's requests in flight: for each webhook, or all in one go.
_COUNTED = """
    (SELECT COUNT(*) FROM webhooks_delivery c
        WHERE c.webhook_id = w.id AND c.state = 'calling' AND NOT c.forced)
"""
_JOINED = (
    "COALESCE(c.in_flight, 0)",
    """
    LEFT JOIN (
        SELECT webhook_id, COUNT(*) AS in_flight FROM webhooks_delivery
        WHERE state = 'calling' AND NOT forced GROUP BY webhook_id
    ) c ON c.webhook_id = w.id
    """,
)


@dataclass(slots=True)
class _Choice:
    """What a claim has chosen so far, `limit` deliveries at most, each within a share of `slots`.

    Without slots nothing is shared. With `responds` only webhooks whose last request got a
    response are looked at, which may use the last slots.
    """

    limit: int
    slots: Slots | None = None
    responds: bool = False
    ids: dict[int, None] = field(default_factory=dict)
    # Requests in flight and deliveries chosen, by webhook and whether they are forced.
    _held: dict[tuple[str, bool], int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Return how many more may be chosen."""
        return self.limit - len(self.ids)

    def share(self, limit: int) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most."""
        if self.slots is None:
            return limit
        return self.slots.share(limit, responds=self.responds)

    def offer(self, pk: int, webhook_id: str, forced: bool, in_flight: int, limit: int) -> None:
        """Choose the delivery of a webhook with requests in flight, if its share allows it."""
        held = self._held.setdefault((webhook_id, forced), in_flight)
        if self.left > 0 and pk not in self.ids and held < self.share(limit):
            self.ids[pk] = None
            self._held[webhook_id, forced] = held + 1
            self.slots = self.slots and self.slots.taken(1)


def claim(limit: int, slots: Slots | None = None) -> list[ClaimedDelivery]:
    """Take up to `limit` deliveries that may start now, MOST at most, for LEASE seconds.

    `slots` are those of the process, shared fairly; without them only the limit counts.
    """
    with transaction.atomic():
        sql.lock_claims()
        now = clock.now()
        choice = _choose(_Choice(min(limit, MAX_BATCH), slots), now)
        if not choice.ids:
            return []
        return take(list(choice.ids), now, where=_ALLOWED, params=[sql.datetime_param(now)])


def peek_due(now: datetime) -> list[int]:
    """Return deliveries that could start now, one at least if there are any."""
    return list(_choose(_Choice(1), now).ids)


def _choose(choice: _Choice, now: datetime) -> _Choice:
    """Choose forced deliveries first, then those that are due."""
    _choose_forced(choice)
    _choose_due(choice, now)
    if choice.slots is not None and not choice.slots.unreserved:
        choice.responds = True
        _choose_forced(choice)
        _choose_due(choice, now)
    return choice


def _choose_forced(choice: _Choice) -> None:
    """Choose the oldest forced deliveries: of one webhook as many as there are slots to share."""
    most = choice.limit if choice.slots is None else choice.slots.total
    share = choice.share(most)
    if choice.left <= 0 or not share:
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
                {_RESPONDS if choice.responds else ""}
            ) candidate WHERE in_flight < %s ORDER BY id LIMIT %s
            """,
            [share, choice.limit],
        )
        for pk, webhook_id, in_flight in cursor.fetchall():
            choice.offer(pk, webhook_id, True, in_flight, most)


def _choose_due(choice: _Choice, now: datetime) -> None:
    """Choose the oldest waiting deliveries of the webhooks that may start something.

    Those with the fewest requests in flight come first.
    """
    share = choice.share(settings.SIM_MAX_IN_FLIGHT)
    if choice.left <= 0 or not share:
        return
    # Thousands may be in flight, and few of the webhooks that respond have something waiting. Only
    # SQLite looks for what waits first; PostgreSQL would count for every webhook.
    is_cheap = choice.responds and connection.vendor == "sqlite"
    counted, joined = (_COUNTED, "") if is_cheap else _JOINED
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, in_flight, cap FROM (
                SELECT w.id, {counted} AS in_flight,
                    CASE WHEN w.earliest_possible_trigger IS NULL THEN %s ELSE 1 END AS cap,
                    (SELECT MIN(d.id) FROM webhooks_delivery d {sql.indexed_by("delivery_waiting")}
                        WHERE d.webhook_id = w.id AND d.state = 'waiting' AND NOT d.forced) AS head
                FROM webhooks_webhook w {joined}
                WHERE w.active AND NOT w.out_of_order
                AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
                {_RESPONDS if choice.responds else ""}
            ) candidate
            WHERE head IS NOT NULL AND in_flight < cap AND in_flight < %s
            ORDER BY in_flight, head LIMIT %s
            """,
            [settings.SIM_MAX_IN_FLIGHT, sql.datetime_param(now), share, choice.limit],
        )
        found = {pk: (in_flight, cap) for pk, in_flight, cap in cursor.fetchall()}
    wanted = [(pk, min(cap, share) - in_flight) for pk, (in_flight, cap) in found.items()]
    for at in range(0, len(wanted), _CHUNK):
        if choice.left <= 0:
            break
        for pk, webhook_id in _oldest(wanted[at : at + _CHUNK], choice.left):
            choice.offer(pk, webhook_id, False, *found[webhook_id])


def _oldest(wanted: Sequence[tuple[str, int]], limit: int) -> list[tuple[int, str]]:
    """Return the oldest waiting deliveries and their webhooks: up to `n` of each webhook.

    One index look-up for each, so a backlog behind a gate costs the others nothing.
    """
    waiting = sql.indexed_by("delivery_waiting")
    parts: list[str] = []
    params: list[Any] = []
    for webhook_id, n in wanted:
        parts.append(
            f"SELECT id, webhook_id FROM (SELECT id, webhook_id FROM webhooks_delivery {waiting} "
            "WHERE webhook_id = %s AND state = 'waiting' AND NOT forced ORDER BY id LIMIT %s) part"
        )
        params += [webhook_id, min(n, limit)]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return sorted(cursor.fetchall())


# A failure that was committed since the deliveries were chosen must hold them back.
_ALLOWED = """
    AND (forced OR EXISTS (
        SELECT 1 FROM webhooks_webhook w WHERE w.id = webhook_id AND NOT w.out_of_order
        AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
    ))
"""


def take(
    chosen: Sequence[int],
    now: datetime,
    lease: float = LEASE,
    *,
    where: str = "",
    params: Sequence[Any] = (),
) -> list[ClaimedDelivery]:
    """Take those of the deliveries that wait and that nobody else has locked, for `lease` seconds.

    Call inside a transaction. Those of a webhook that has just been deleted are left. `where` is
    one more condition, with its parameters.
    """
    token = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH free AS (
                SELECT id FROM webhooks_delivery
                WHERE state = 'waiting' AND id IN ({sql.placeholders(chosen)}) {sql.skip_locked()}
            )
            UPDATE webhooks_delivery
            SET state = 'calling', claim = %s, lease = {sql.epoch()} + %s, started_at = %s
            WHERE state = 'waiting' AND id IN (SELECT id FROM free) {where}
            RETURNING id, webhook_id, attempts, forced
            """,
            [*chosen, sql.uuid_param(token), lease, sql.datetime_param(now), *params],
        )
        taken = sorted(cursor.fetchall())
    webhooks = load_webhooks({row[1] for row in taken})
    return apply_resends(
        ClaimedDelivery(pk, token, attempts + 1, bool(forced), now, webhooks[webhook_id])
        for pk, webhook_id, attempts, forced in taken
        if webhook_id in webhooks
    )


def load_webhooks(webhook_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return what calls need of the webhooks, by id."""
    rows = Webhook.objects.filter(pk__in=webhook_ids).values(
        *_COLUMNS,
        last_success_at=F("last_success__finished_at"),
        last_failure_at=F("last_failure__finished_at"),
    )
    return {row["id"]: row for row in rows}


def apply_resends(claimed: Iterable[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Return the deliveries, with an override for the first attempt of each resend.

    One statement if any of them may be a resend, none for events.
    """
    deliveries = list(claimed)
    first = [c.delivery_id for c in deliveries if c.forced and c.number == 1]
    rows = {row.pk: row for row in Resend.objects.filter(pk__in=first)} if first else {}
    return [
        with_resend(c, _override(row, altered=row.revision != c.webhook["revision"]))
        if (row := rows.get(c.delivery_id))
        else c
        for c in deliveries
    ]


def _override(row: Resend, *, altered: bool) -> ResendOverride:
    payload = json.loads(row.payload)
    return ResendOverride(row.url, row.method, row.headers, payload, row.body, altered)


def renew(claimed: Sequence[ClaimedDelivery]) -> None:
    """Prolong the leases of calls under way, except of rows that another transaction holds."""
    for at in range(0, len(claimed), MAX_BATCH):
        part = claimed[at : at + MAX_BATCH]
        ids, tokens = [c.delivery_id for c in part], {c.claim for c in part}
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE webhooks_delivery SET lease = {sql.epoch()} + %s WHERE id IN (
                    SELECT id FROM webhooks_delivery
                    WHERE state = 'calling' AND id IN ({sql.placeholders(ids)})
                    AND claim IN ({sql.placeholders(list(tokens))}) {sql.skip_locked()}
                )
                """,
                [LEASE, *ids, *map(sql.uuid_param, tokens)],
            )


def expire_leases() -> None:
    """Let every lease run out now: for a process that knows itself to be the only one."""
    Delivery.objects.filter(state=Delivery.CALLING).update(lease=0)


def lost_attempts() -> list[AttemptResult]:
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
    webhooks = load_webhooks({row.webhook_id for row in rows})
    lost = apply_resends(
        ClaimedDelivery(
            row.pk, row.claim, row.attempts + 1, row.forced, row.started_at,
            webhooks[row.webhook_id],
        )
        for row in rows
        if row.claim and row.started_at and row.webhook_id in webhooks
    )  # fmt: skip
    said = "The worker was lost during the call; what the handler answered is unknown."
    return [AttemptResult(claimed, retry.UNKNOWN, 0, error=said) for claimed in lost]


def next_due(now: datetime) -> datetime | None:
    """Return when the next gate opens behind which something waits, or None."""
    waiting = Delivery.objects.filter(webhook=OuterRef("pk"), state=Delivery.WAITING, forced=False)
    gates = Webhook.objects.filter(
        Exists(waiting), active=True, out_of_order=False, earliest_possible_trigger__gt=now
    )
    found: datetime | None = gates.aggregate(at=Min("earliest_possible_trigger"))["at"]
    return found
