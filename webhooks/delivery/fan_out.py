"""An event becomes a delivery: rows for a queue change, in the transaction of the change.

Statements are set-based, and rows are locked in one order everywhere: deliveries, then
webhooks by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from requests_queue import clock
from requests_queue.errors import Missing, Refused
from requests_queue.transitions import Change
from webhooks.delivery import sql, wakeup
from webhooks.models import Delivery, Event, Webhook
from webhooks.types import EVENT

Pairs = list[tuple[int, str]]
# Of each webhook: id, gate, and whether it is out of order.
Rows = list[tuple[str, datetime | None, bool]]


@dataclass(frozen=True, slots=True)
class _RecordedEvent:
    """An event that was inserted, and its delivery, which may have been there before."""

    webhook_id: str
    delivery_id: int
    event_id: int
    at: datetime
    joined: bool = False


def record(*changes: Change) -> None:
    """Record changes of one transaction for the webhooks that watch them; wake the engine after
    commit.

    The webhooks of all changes are locked once, in the order of their ids.
    """
    found = [(change, _matching_webhooks(change)) for change in changes]
    ids = {pk for _, rows in found for pk, *_ in rows}
    if not ids:
        return
    if settings.SIM_EVENT_MODE == "coalesce":
        # Two changes at once must not both find nothing waiting.
        watching = Webhook.objects.filter(pk__in=ids).order_by("pk").select_for_update()
        list(watching.values_list("pk"))
    made: list[_RecordedEvent] = []
    for change, rows in found:
        made += _insert(change, rows)
    _count(made)
    wakeup.after_commit()


def _matching_webhooks(change: Change) -> Rows:
    """Return the webhooks that watch the change."""
    rows = Webhook.objects.filter(
        active=True,
        type=EVENT,
        object_class=change.object_class,
        product_id=change.product_id,
        account_id__in=change.account_ids,
    ).order_by("pk")
    return list(rows.values_list("pk", "earliest_possible_trigger", "out_of_order"))


def _insert(change: Change, rows: Rows) -> list[_RecordedEvent]:
    """Insert the events of a change, each into a delivery that waits or into a new one."""
    coalesce = settings.SIM_EVENT_MODE == "coalesce"
    backing_off = [pk for pk, gate, lost in rows if coalesce or gate is not None or lost]
    joined = _join_waiting(backing_off)
    has_joined = {webhook_id for _, webhook_id in joined}
    new = insert_deliveries([pk for pk, *_ in rows if pk not in has_joined], change.at)
    deliveries = dict(joined + new)
    return [
        _RecordedEvent(deliveries[pk], pk, event_id, change.at, deliveries[pk] in has_joined)
        for event_id, pk in _insert_events(list(deliveries), change)
    ]


def matching_validators(change: Change, type_: str) -> list[str]:
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
    deliveries = dict(insert_deliveries(webhook_ids, change.at))
    _count(
        [
            _RecordedEvent(deliveries[pk], pk, event_id, change.at)
            for event_id, pk in _insert_events(list(deliveries), change)
        ]
    )
    by_webhook = {webhook_id: pk for pk, webhook_id in deliveries.items()}
    return [by_webhook[pk] for pk in webhook_ids if pk in by_webhook]


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
                AND webhook_id IN ({sql.placeholders(webhook_ids)}) GROUP BY webhook_id
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
            WHERE id IN ({sql.placeholders(webhook_ids)}) AND deleted_at IS NULL ORDER BY id
            RETURNING id, webhook_id
            """,
            [forced, sql.datetime_param(at), *webhook_ids],
        )
        return list(cursor.fetchall())


def _insert_events(delivery_ids: Sequence[int], change: Change) -> list[tuple[int, int]]:
    """Insert an event for each delivery and return (event id, delivery id)."""
    if not delivery_ids:
        # Every webhook was deleted since it was found.
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO webhooks_event
                (webhook_id, delivery_id, object_id, status_from, status_to, at)
            SELECT webhook_id, id, %s, %s, %s, %s FROM webhooks_delivery
            WHERE id IN ({sql.placeholders(delivery_ids)}) ORDER BY id
            RETURNING id, delivery_id
            """,
            [
                change.object_id,
                change.status_from or "",
                change.status_to,
                sql.datetime_param(change.at),
                *delivery_ids,
            ],
        )
        return list(cursor.fetchall())


def _count(made: Sequence[_RecordedEvent]) -> None:
    """Count the events, last, so that the webhooks' locks are short.

    A webhook that was disabled or deleted since it was found counts none.
    """
    rows = Webhook.objects.filter(pk__in={each.webhook_id for each in made})
    locked = dict(rows.order_by("pk").select_for_update().values_list("pk", "active"))
    gone = [each for each in made if not locked.get(each.webhook_id)]
    if gone:
        _take_back(gone)
        # A deleted webhook's row may be removed before this transaction commits.
        deleted = [e.delivery_id for e in gone if e.webhook_id not in locked and not e.joined]
        Delivery.objects.filter(pk__in=deleted).delete()
    counts = Counter(each.webhook_id for each in made if locked.get(each.webhook_id))
    last = {each.webhook_id: each.at for each in made}
    alike: dict[tuple[int, datetime], list[str]] = {}
    for pk, count in counts.items():
        alike.setdefault((count, last[pk]), []).append(pk)
    for (count, at), ids in alike.items():
        Webhook.objects.filter(pk__in=ids).update(
            events=F("events") + count, last_event=clock.shown(at)
        )


def _take_back(made: Sequence[_RecordedEvent]) -> None:
    """Take events from webhooks that are disabled; what waits there is cancelled."""
    Delivery.objects.filter(
        pk__in=[each.delivery_id for each in made], state=Delivery.WAITING
    ).update(state=Delivery.CANCELLED)
    Event.objects.filter(pk__in=[each.event_id for each in made]).delete()


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
        if not Webhook.objects.filter(pk=webhook.pk).exists():
            raise Missing(webhook.pk)
        raise Refused("WH_001", f"{webhook.pk} is disabled: enable it to trigger it.")
    wakeup.after_commit()
    return Delivery.objects.get(pk=delivery_id)
