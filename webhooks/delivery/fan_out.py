"""Fan-out: insert events and deliveries for a queue change, in the transaction of the change.

Statements are set-based. Lock order: deliveries, then webhooks, each by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import F

from requests_queue import assumptions, clock
from requests_queue.db import sql
from requests_queue.errors import Missing, Refused
from requests_queue.queues.transitions import Change
from webhooks import announcements, tracing
from webhooks.delivery import wakeup
from webhooks.models import Delivery, Event, Webhook
from webhooks.signals import events_recorded
from webhooks.types import EVENT

# Delivery and webhook ids.
Pairs = list[tuple[int, str]]


class RecordedEvent(NamedTuple):
    """An inserted event and its delivery; `joined` if the delivery was pending already.

    `change` is None for Trigger now.
    """

    webhook_id: str
    delivery_id: int
    event_id: int
    occurred_at: datetime
    joined: bool = False
    change: Change | None = None


def record(*changes: Change) -> None:
    """Record the changes of one transaction for the matching webhooks.

    The engine is woken after the commit. The webhooks of all changes are locked once, in the order
    of their ids.
    """
    matches = [(change, _enabled(change, EVENT, "id")) for change in changes]
    ids = {pk for _, webhooks in matches for pk, _ in webhooks}
    if not ids:
        return
    if assumptions.value("event_mode") == "coalesce":
        # Locked first, so that two concurrent changes don't both find no pending delivery.
        _lock(ids)
    events: list[RecordedEvent] = []
    for change, webhooks in matches:
        events += _insert(change, webhooks)
    _count(events)
    wakeup.after_commit()


def _enabled(change: Change, type_: str, order: str) -> list[tuple[str, bool]]:
    """Return the webhooks of a type that a change is for, and whether their calls are held back."""
    is_theirs, params = sql.one_of("account_id", sorted(change.account_ids))
    return sql.fetch(
        f"""
        SELECT id, out_of_order OR earliest_possible_trigger IS NOT NULL FROM webhooks_webhook
        WHERE active AND deleted_at IS NULL
            AND object_class = %s AND product_id = %s AND type = %s AND {is_theirs}
        ORDER BY {order}
        """,
        [change.object_class, change.product_id, type_, *params],
    )


def _lock(webhook_ids: Collection[str]) -> dict[str, bool]:
    """Lock webhooks, and return which of them are enabled; those that are deleted are missing."""
    is_one, params = sql.one_of("id", sorted(webhook_ids))
    return dict(
        sql.fetch(
            f"""
            SELECT id, active FROM webhooks_webhook WHERE {is_one} AND deleted_at IS NULL
            ORDER BY id {sql.for_update()}
            """,
            params,
        )
    )


def _insert(change: Change, webhooks: Sequence[tuple[str, bool]]) -> list[RecordedEvent]:
    """Insert the events of a change, each with a pending delivery or a new one."""
    coalesce = assumptions.value("event_mode") == "coalesce"
    joined = _join_pending([pk for pk, is_held in webhooks if coalesce or is_held])
    joined_ids = {webhook_id for _, webhook_id in joined}
    new = insert_deliveries([pk for pk, _ in webhooks if pk not in joined_ids], change.at)
    return _insert_events(dict(joined + new), change, joined_ids)


def matching_validators(change: Change, type_: str) -> list[str]:
    """Return the ids of the enabled validators of a type for an object, the oldest first."""
    return [pk for pk, _ in _enabled(change, type_, "created_at, id")]


def record_validation(change: Change, webhook_ids: Sequence[str]) -> list[int]:
    """Record the validation of an object by webhooks.

    Returns the ids of the deliveries, in the order of the webhooks. Call in a transaction that
    claims the deliveries, so that no engine claims them.
    """
    deliveries = dict(insert_deliveries(webhook_ids, change.at))
    _count(_insert_events(deliveries, change))
    by_webhook = {webhook_id: pk for pk, webhook_id in deliveries.items()}
    return [by_webhook[pk] for pk in webhook_ids if pk in by_webhook]


def _join_pending(webhook_ids: Sequence[str]) -> Pairs:
    """Lock and return the youngest pending delivery of each webhook that has one.

    One with a due date of its own waits alone, and an event would wait with it. The lock keeps it
    from being claimed before commit: a handler called earlier may list the queue without the
    change. A delivery that another transaction holds is skipped, and the event gets a delivery of
    its own: a transaction with several changes must not wait for a delivery while it holds webhooks
    (lock order).
    """
    if not webhook_ids:
        return []
    is_theirs, params = sql.one_of("webhook_id", webhook_ids)
    return sql.fetch(
        f"""
        SELECT id, webhook_id FROM webhooks_delivery WHERE id IN (
            SELECT MAX(id) FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
            WHERE state = 'waiting' AND NOT forced AND due_at IS NULL AND {is_theirs}
            GROUP BY webhook_id
        ) AND state = 'waiting' AND NOT forced {sql.skip_locked()}
        """,
        params,
    )


def insert_deliveries(
    webhook_ids: Sequence[str], created_at: datetime, *, forced: bool = False
) -> Pairs:
    """Insert a pending delivery for each webhook, and return delivery and webhook ids."""
    if not webhook_ids:
        return []
    is_one, params = sql.one_of("id", webhook_ids)
    return sql.fetch(
        f"""
        INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts)
        SELECT id, 'waiting', %s, %s, 0 FROM webhooks_webhook
        WHERE {is_one} AND deleted_at IS NULL ORDER BY id
        RETURNING id, webhook_id
        """,
        [forced, sql.datetime_param(created_at), *params],
    )


def _insert_events(
    deliveries: Mapping[int, str], change: Change, joined: Collection[str] = ()
) -> list[RecordedEvent]:
    """Insert an event for each delivery (its id and that of its webhook).

    `joined` are the webhooks whose delivery was pending already.
    """
    rows = sql.fetch(
        f"""
        INSERT INTO webhooks_event
            (webhook_id, delivery_id, object_id, status_from, status_to, at, trace)
        SELECT webhook_id, id, %s, %s, %s, %s, %s FROM webhooks_delivery
        WHERE id IN ({sql.integers(deliveries)}) ORDER BY id
        RETURNING id, delivery_id
        """,
        [
            change.object_id,
            change.status_from or "",
            change.status_to,
            sql.datetime_param(change.at),
            tracing.mark_event(),
        ],
    )
    return [
        RecordedEvent(deliveries[pk], pk, event_id, change.at, deliveries[pk] in joined, change)
        for event_id, pk in rows
    ]


def _count(events: Sequence[RecordedEvent]) -> None:
    """Count the events, last, so that the webhooks are locked only briefly.

    Events of webhooks that were disabled or deleted meanwhile are removed instead.
    """
    active = _lock({event.webhook_id for event in events})
    inactive = [event for event in events if not active.get(event.webhook_id)]
    if inactive:
        _remove(inactive)
        # Delete deliveries orphaned by a concurrent delete: the webhook may be removed before
        # this transaction commits.
        orphaned = [e.delivery_id for e in inactive if e.webhook_id not in active and not e.joined]
        Delivery.objects.filter(pk__in=orphaned).delete()
    remaining = [event for event in events if active.get(event.webhook_id)]
    last = {event.webhook_id: event.occurred_at for event in remaining}
    groups: dict[tuple[int, datetime], list[str]] = {}
    for pk, count in Counter(event.webhook_id for event in remaining).items():
        groups.setdefault((count, last[pk]), []).append(pk)
    for (count, last_event), ids in groups.items():
        is_one, params = sql.one_of("id", ids)
        sql.fetch(
            f"UPDATE webhooks_webhook SET events = events + %s, last_event = %s WHERE {is_one}",
            [count, sql.datetime_param(clock.shown(last_event)), *params],
        )
    if remaining:
        events_recorded.send(sender=None, events=remaining)


def _remove(events: Sequence[RecordedEvent]) -> None:
    """Remove events of inactive webhooks, and cancel their pending deliveries."""
    Delivery.objects.filter(
        pk__in=[event.delivery_id for event in events], state=Delivery.WAITING
    ).update(state=Delivery.CANCELLED)
    Event.objects.filter(pk__in=[event.event_id for event in events]).delete()


def coalesce(delivery_ids: Sequence[int]) -> None:
    """Merge the pending deliveries of these deliveries' webhooks into the oldest of each.

    Call with the webhooks locked. Events move to the oldest, so none is lost; a merged delivery
    with attempts stays visible as cancelled, one without is deleted. One with a due date of its own
    waits alone.
    """
    webhooks = Delivery.objects.filter(pk__in=delivery_ids).values("webhook")
    # Locked, so that none is claimed meanwhile. Those that another transaction holds are being
    # claimed or cancelled; to wait for them with the webhooks locked could deadlock.
    rows = Delivery.objects.filter(
        webhook__in=webhooks, state=Delivery.WAITING, forced=False, due_at=None
    )
    pending = rows.select_for_update(skip_locked=True).order_by("pk")
    oldest: dict[str, int] = {}
    for pk, webhook_id, attempts in pending.values_list("pk", "webhook_id", "attempts"):
        keep = oldest.setdefault(webhook_id, pk)
        if pk == keep:
            continue
        Event.objects.filter(delivery=pk).update(delivery=keep)
        merged = Delivery.objects.filter(pk=pk, state=Delivery.WAITING)
        if attempts:
            merged.update(state=Delivery.CANCELLED)
        else:
            merged.delete()


@transaction.atomic
def trigger(webhook: Webhook) -> Delivery:
    """Trigger now: an event without an object, with a delivery of its own that starts immediately.

    Raises Refused for a disabled webhook, Missing for a deleted one.
    """
    now = clock.now()
    inserted = insert_deliveries([webhook.pk], now, forced=True)
    if not inserted:
        raise Missing(webhook.pk)
    [(delivery_id, _)] = inserted
    event = Event.objects.create(
        webhook=webhook, delivery_id=delivery_id, at=now, trace=tracing.mark_event()
    )
    counted = Webhook.objects.filter(pk=webhook.pk, active=True).update(
        events=F("events") + 1, last_event=clock.shown(now)
    )
    if not counted:
        # The exceptions roll the rows back.
        if not Webhook.objects.filter(pk=webhook.pk).exists():
            raise Missing(webhook.pk)
        raise Refused("WH_001", f"{webhook.pk} is disabled: enable it to trigger it.")
    wakeup.after_action()
    event_row = RecordedEvent(webhook.pk, delivery_id, event.pk, now)
    events_recorded.send(sender=None, events=[event_row])
    announcements.announce(webhook.account_id, webhook.pk, delivery_id)
    return Delivery.objects.get(pk=delivery_id)
