"""An event becomes a delivery: rows for a queue change, in the transaction of the change.

Statements are set-based, and rows are locked in one order everywhere: deliveries, then
webhooks by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from requests_queue import clock
from requests_queue.errors import Missing, Refused
from requests_queue.transitions import Change
from webhooks import sql, wakeup
from webhooks.models import Delivery, Event, Webhook
from webhooks.types import EVENT

Pairs = list[tuple[int, str]]


def record(change: Change) -> None:
    """Record the change for each webhook that watches it, and wake the engine after commit."""
    listening = Webhook.objects.filter(
        active=True,
        type=EVENT,
        object_class=change.object_class,
        product_id=change.product_id,
        account_id__in=change.account_ids,
    ).order_by("pk")
    coalesce = settings.SIM_EVENT_MODE == "coalesce"
    if coalesce:
        # Two changes at once must not both find nothing waiting.
        listening = listening.select_for_update()
    found = list(listening.values_list("pk", "earliest_possible_trigger", "out_of_order"))
    if not found:
        return
    backing_off = [pk for pk, gate, lost in found if coalesce or gate is not None or lost]
    pairs = _join_waiting(backing_off)
    joined = {webhook_id for _, webhook_id in pairs}
    pairs += insert_deliveries([pk for pk, *_ in found if pk not in joined], change.at)
    event_ids = _insert_events([delivery_id for delivery_id, _ in pairs], change)
    _count([pk for pk, *_ in found], event_ids, change)
    wakeup.after_commit()


def validators(change: Change, type_: str) -> list[str]:
    """Return the ids of the enabled validators of a type for an object, the oldest first."""
    rows = Webhook.objects.filter(
        active=True, type=type_, object_class=change.object_class,
        product_id=change.product_id, account_id__in=change.account_ids,
    )  # fmt: skip
    return list(rows.order_by("created_at", "pk").values_list("pk", flat=True))


def record_validation(change: Change, webhook_ids: Sequence[str]) -> list[int]:
    """Record that an object is to be validated by webhooks; return a delivery for each, in their
    order.

    Call in a transaction that takes the deliveries, so that nobody else does.
    """
    made = {webhook_id: pk for pk, webhook_id in insert_deliveries(webhook_ids, change.at)}
    event_ids = _insert_events(list(made.values()), change)
    _count(list(made), event_ids, change)
    return [made[pk] for pk in webhook_ids if pk in made]


def _join_waiting(webhook_ids: Sequence[str]) -> Pairs:
    """Join the youngest waiting delivery of each webhook that has one.

    An UPDATE, so that its lock keeps a claim off until commit: the call under way when the
    change commits may have listed the queue already. One that somebody else holds is passed over,
    and the event gets a delivery of its own: a transaction may tell of several changes, and must
    not wait for a delivery while it holds the webhooks of an earlier one.
    """
    if not webhook_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH youngest AS (
                SELECT MAX(id) AS id FROM webhooks_delivery
                WHERE state = 'waiting' AND NOT forced
                AND webhook_id IN ({sql.marks(webhook_ids)}) GROUP BY webhook_id
            ), free AS (
                SELECT id FROM webhooks_delivery WHERE id IN (SELECT id FROM youngest)
                AND state = 'waiting' {sql.skip_locked()}
            )
            UPDATE webhooks_delivery SET state = 'waiting'
            WHERE state = 'waiting' AND NOT forced AND id IN (SELECT id FROM free)
            RETURNING id, webhook_id
            """,
            webhook_ids,
        )
        return list(cursor.fetchall())


def insert_deliveries(webhook_ids: Sequence[str], at: datetime, *, forced: bool = False) -> Pairs:
    """Insert a waiting delivery for each webhook and return (delivery id, webhook id)."""
    if not webhook_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts)
            SELECT id, 'waiting', %s, %s, 0 FROM webhooks_webhook
            WHERE id IN ({sql.marks(webhook_ids)}) ORDER BY id
            RETURNING id, webhook_id
            """,
            [forced, sql.moment(at), *webhook_ids],
        )
        return list(cursor.fetchall())


def _insert_events(delivery_ids: Sequence[int], change: Change) -> list[int]:
    """Insert an event for each delivery and return their ids."""
    if not delivery_ids:
        # Every webhook was deleted since it was found.
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO webhooks_event
                (webhook_id, delivery_id, object_id, status_from, status_to, at)
            SELECT webhook_id, id, %s, %s, %s, %s FROM webhooks_delivery
            WHERE id IN ({sql.marks(delivery_ids)}) ORDER BY id
            RETURNING id
            """,
            [
                change.object_id,
                change.status_from or "",
                change.status_to,
                sql.moment(change.at),
                *delivery_ids,
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _count(webhook_ids: Sequence[str], event_ids: Sequence[int], change: Change) -> None:
    """Count the event, last, so that the webhooks' locks are short.

    A webhook that was disabled or deleted since it was found counts none.
    """
    rows = Webhook.objects.filter(pk__in=webhook_ids).order_by("pk").select_for_update()
    found = dict(rows.values_list("pk", "active"))
    gone = [pk for pk in webhook_ids if not found.get(pk)]
    if gone:
        _take_back(gone, event_ids)
        # What a deleted webhook still got has nothing to belong to.
        Delivery.objects.filter(webhook__in=[pk for pk in gone if pk not in found]).delete()
    Webhook.objects.filter(pk__in=[pk for pk, active in found.items() if active]).update(
        events=F("events") + 1, last_event=clock.shown(change.at)
    )


def _take_back(webhook_ids: Sequence[str], event_ids: Sequence[int]) -> None:
    """Take these of the events from webhooks that are disabled; what waits there is cancelled."""
    fresh = Event.objects.filter(webhook__in=webhook_ids, pk__in=event_ids)
    Delivery.objects.filter(state=Delivery.WAITING, events__in=fresh).update(
        state=Delivery.CANCELLED
    )
    fresh.delete()


@transaction.atomic
def trigger(webhook: Webhook) -> Delivery:
    """Trigger now: an event without an object, and a delivery of its own, started at once.

    Raises Refused for a disabled webhook, Missing for one that has just been deleted.
    """
    now = clock.now()
    inserted = insert_deliveries([webhook.pk], now, forced=True)
    if not inserted:
        raise Missing(webhook.pk)
    [(delivery_id, _)] = inserted
    Event.objects.create(webhook=webhook, delivery_id=delivery_id, at=now)
    counted = Webhook.objects.filter(pk=webhook.pk, active=True).update(
        events=F("events") + 1, last_event=clock.shown(now)
    )
    if not counted:
        # The exception takes the rows back.
        raise Refused("WH_001", f"{webhook.pk} is disabled: enable it to trigger it.")
    wakeup.after_commit()
    return Delivery.objects.get(pk=delivery_id)
