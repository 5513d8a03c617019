"""Claims: take deliveries for this process, renew their leases, find those of lost workers.

One claim at a time, so that the rules of the selection hold across workers. Rows that another
transaction has locked are skipped, so that a claim never waits.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from requests_queue import clock, prepared, sql
from webhooks.delivery import interceptors, lateness, retry, selection, taking, tracing
from webhooks.delivery.claimed import ClaimedDelivery, ResendOverride, with_resend
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.slots import Slots
from webhooks.models import Delivery, Resend
from webhooks.signals import attempts_started, claiming_deliveries, request_sent

LEASE = 30.0  # seconds after which the deliveries of a killed worker may be taken over
MAX_BATCH = 1000  # deliveries of one statement, so that locks are not held for long
_LOCK = 0x636C61696D  # "claim"

# Repeats the conditions of the selection, since a failure may have been committed meanwhile. Not
# with EXISTS, for which PostgreSQL reads all webhooks.
_MAY_START = """
    AND (forced OR (
        SELECT NOT w.out_of_order
            AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger <= %s)
        FROM webhooks_webhook w WHERE w.id = webhook_id
    ))
"""


def lock() -> bool:
    """Block all other claims until commit, and return whether forced deliveries may be pending.

    On PostgreSQL that is read by the same statement. It misses those that are committed while it
    waits for the lock, and which wake an engine.
    """
    if connection.vendor != "postgresql":
        return True
    [(_, _, has_forced, *sizes)] = prepared.fetch(
        f"""
        SELECT pg_advisory_xact_lock(%s), {prepared.KEEP_PLANS},
            EXISTS (SELECT 1 FROM webhooks_delivery WHERE state = 'waiting' AND forced),
            pg_relation_size('webhooks_delivery'), pg_relation_size('webhooks_webhook')
        """,
        [_LOCK],
    )
    prepared.note_sizes(*sizes)
    return bool(has_forced)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim has read and claimed; `has_more` if only its limit may have kept others out."""

    read: clock.Reading
    deliveries: list[ClaimedDelivery] = field(default_factory=list)
    has_more: bool = False


def claim(limit: int, slots: Slots | None = None) -> list[ClaimedDelivery]:
    """Claim up to `limit` deliveries that may start now, MAX_BATCH at most, for LEASE seconds.

    `slots` are those of the process, shared fairly; without them only the limit counts.
    """
    return claim_of(None, limit, slots).deliveries


def claim_of(generation: int | None, limit: int, slots: Slots | None = None) -> Claim:
    """Claim like `claim`, but nothing if the data are not of the generation, except None."""
    claiming_deliveries.send(sender=None)
    with transaction.atomic():
        has_forced = lock()
        # With the lock, which a reset or restore takes too: the generation is that of the rows.
        reading, read_at = clock.read(), time.monotonic()
        now = reading.now
        if generation not in (None, reading.generation):
            return Claim(reading)
        found = selection.find(min(limit, MAX_BATCH), now, slots, has_forced=has_forced)
        if not found.ids:
            return Claim(reading)
        params = [sql.datetime_param(now)]
        if connection.vendor == "postgresql":
            # Attempts that another process has recorded meanwhile end before these start.
            now, read_at = clock.now(), time.monotonic()
        taken = take(
            list(found.ids),
            now,
            reading.generation,
            where=_MAY_START,
            params=params,
            read_at=read_at,
        )
    return Claim(reading._replace(now=now), taken, found.has_more)


def take(
    ids: Sequence[int],
    now: datetime,
    generation: int,
    lease: float = LEASE,
    *,
    where: str = "",
    params: Sequence[Any] = (),
    read_at: float | None = None,
) -> list[ClaimedDelivery]:
    """Claim those of the deliveries that are pending and not locked, for `lease` seconds.

    Call inside a transaction, with the time and the generation of the data (`clock.read`).
    Deliveries of a webhook that has just been deleted are left out. `where` is one more condition,
    with its parameters. `read_at` is when `now` was read (monotonic seconds); if anything measures
    how late requests start, the deliveries get their due time.
    """
    token = uuid.uuid4()
    taken, webhooks = taking.mark(ids, token, now, lease, where, params)
    due: dict[int, float] = {}
    if read_at is not None and request_sent.receivers:
        due = lateness.due_times(taken, webhooks, now, read_at)
    shared: dict[str, dict[str, Any]] = {webhook_id: {} for webhook_id in webhooks}
    claimed = apply_resends(
        ClaimedDelivery(
            pk,
            token,
            attempts + 1,
            bool(forced),
            now,
            webhooks[webhook_id],
            due=due.get(pk),
            generation=generation,
            shared=shared[webhook_id],
        )
        for pk, webhook_id, attempts, forced, *_ in taken
        if webhook_id in webhooks
    )
    claimed = tracing.with_marks(claimed)
    if claimed:
        attempts_started.send(sender=None, claimed=claimed)
    return interceptors.attach(claimed) if claimed and interceptors.finders else claimed


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
    return ResendOverride(row.url, row.method, row.headers, payload, row.body, altered, row.preset)


def renew(claimed: Sequence[ClaimedDelivery]) -> None:
    """Renew the leases of requests in flight, except of rows that another transaction holds."""
    for start in range(0, len(claimed), MAX_BATCH):
        batch = claimed[start : start + MAX_BATCH]
        ids, tokens = [c.delivery_id for c in batch], {c.claim for c in batch}
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE webhooks_delivery SET lease = {sql.epoch()} + %s WHERE id IN (
                    SELECT id FROM webhooks_delivery
                    WHERE state = 'calling' AND id IN ({sql.integers(ids)})
                    AND claim IN ({sql.placeholders(list(tokens))}) {sql.skip_locked()}
                )
                """,
                [LEASE, *map(sql.uuid_param, tokens)],
            )


def expire_leases() -> None:
    """Expire all leases now, for a process that knows that no other one is running.

    The claims are replaced, so that none of another process is renewed after a restore.
    """
    Delivery.objects.filter(state=Delivery.CALLING).update(lease=0, claim=uuid.uuid4())


def lost_attempts(generation: int = 0) -> list[AttemptResult]:
    """Return the attempts of lost workers, whose leases have expired, as unknown results.

    They are recorded if `generation`, which was read before, is still that of the data.
    """
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
    webhooks = taking.load_webhooks({row.webhook_id for row in rows})
    lost = apply_resends(
        ClaimedDelivery(
            row.pk,
            row.claim,
            row.attempts + 1,
            row.forced,
            row.started_at,
            webhooks[row.webhook_id],
            generation=generation,
        )
        for row in rows
        if row.claim and row.started_at and row.webhook_id in webhooks
    )
    error = "Worker lost during the request: the outcome is unknown."
    return [AttemptResult(claimed, retry.UNKNOWN, 0, error=error) for claimed in lost]


def next_due(now: datetime) -> datetime | None:
    """Return when the next pending delivery is due that isn't yet, or None.

    That is when its webhook's backoff ends, and not before its own due date.
    """
    # A subquery with a limit: PostgreSQL would read all pending deliveries first, for an EXISTS.
    moment = sql.datetime_param(now)
    rows = prepared.fetch(
        f"""
        SELECT at FROM (
            SELECT earliest_possible_trigger AS at FROM webhooks_webhook w
            WHERE deleted_at IS NULL AND active AND NOT out_of_order
            AND earliest_possible_trigger > %s AND (
                SELECT id FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
                WHERE webhook_id = w.id AND state = 'waiting' AND NOT forced
                AND (due_at IS NULL OR due_at <= w.earliest_possible_trigger) LIMIT 1
            ) IS NOT NULL ORDER BY earliest_possible_trigger LIMIT 1
        ) backoff UNION ALL SELECT at FROM (
            SELECT d.due_at AS at FROM webhooks_delivery d {sql.indexed_by("delivery_due")}
            JOIN webhooks_webhook w ON w.id = d.webhook_id
            WHERE d.state = 'waiting' AND d.due_at > %s AND w.active AND NOT w.out_of_order
            AND (w.earliest_possible_trigger IS NULL OR w.earliest_possible_trigger < d.due_at)
            ORDER BY d.due_at LIMIT 1
        ) own
        """,
        [moment, moment],
    )
    moments = (sql.datetime_value(at) for (at,) in rows)
    return min((at for at in moments if at is not None), default=None)
