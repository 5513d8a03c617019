"""The history of an object: status changes, messages, and the deliveries of each change.

Deliveries are those of the viewer's webhooks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, Subquery

from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.conversations import writing
from requests_queue.conversations.models import MESSAGE, PRIVATE, Message
from requests_queue.queues.base import BAD, BUSY, GOOD, Queue, QueueObject
from webhooks import types
from webhooks.models import Attempt, Delivery, Event, Webhook
from webhooks.states import STATE_LABELS

_TONES = {
    Delivery.WAITING: BUSY,
    Delivery.CALLING: BUSY,
    Delivery.DELIVERED: GOOD,
    Delivery.FAILED: BAD,
}
MAX_ENTRIES = 100  # messages, and as many events


@dataclass(frozen=True, slots=True)
class HistoryDelivery:
    """The delivery of a change; `response` is that of its last attempt."""

    row: Delivery
    webhook: Webhook
    response: str

    @property
    def is_retried(self) -> bool:
        """Whether it waits for its next attempt after a failure."""
        return self.row.state == Delivery.WAITING and self.row.attempts > 0

    @property
    def state(self) -> str:
        label = STATE_LABELS[self.row.state].lower()
        return "waiting for its next attempt" if self.is_retried else label

    @property
    def tone(self) -> str:
        """The color of its state."""
        return BAD if self.is_retried else _TONES.get(self.row.state, "")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A change or a message: its author and the deliveries of the change."""

    at: datetime
    author: str
    account: str
    text: str
    kind: str
    # The number of the message.
    message: int | None = None
    deliveries: tuple[HistoryDelivery, ...] = ()


def of(pk: str, account: Account) -> list[HistoryEntry]:
    """Return the history of an object, newest first; two statements."""
    deliveries = _deliveries(pk, account)
    entries = [
        _entry(message, tuple(deliveries.pop((message.text, message.created), ())))
        for message in _messages(pk, account)
    ]
    # Events that leave the status as it was have no message.
    entries += [
        HistoryEntry(at, "", "", text, "event", None, tuple(rest))
        for (text, at), rest in deliveries.items()
    ]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _messages(pk: str, account: Account) -> list[Message]:
    rows = Message.visible_to(account).filter(conversation__instance_id=pk)
    return list(rows.select_related("creator", "account").order_by("-pk")[:MAX_ENTRIES])


def _entry(message: Message, deliveries: tuple[HistoryDelivery, ...]) -> HistoryEntry:
    kind = {MESSAGE: "message", PRIVATE: "private"}.get(message.type, "change")
    company = message.account.name if message.account else ""
    author = message.creator.name if message.creator else company or "The platform"
    company = company if message.creator else ""
    return HistoryEntry(
        message.created, author, company, message.text, kind, message.pk, deliveries
    )


def _deliveries(pk: str, account: Account) -> dict[tuple[str, datetime], list[HistoryDelivery]]:
    """Return the deliveries by the text and time of their change's message."""
    last = Attempt.objects.filter(delivery=OuterRef("delivery")).order_by("-number")
    events = (
        Event.objects.filter(object_id=pk, webhook__account=account, webhook__deleted_at=None)
        .annotate(
            status_code=Subquery(last.values("status_code")[:1]),
            outcome=Subquery(last.values("outcome")[:1]),
        )
        .select_related("webhook", "delivery")
        .only(
            "status_from",
            "status_to",
            "object_id",
            "at",
            "delivery__state",
            "delivery__attempts",
            "webhook__label",
            "webhook__type",
            "webhook__object_class",
        )
    )
    result: dict[tuple[str, datetime], list[HistoryDelivery]] = {}
    for event in events.order_by("-pk")[:MAX_ENTRIES]:
        key = (_text(event), clock.shown(event.at))
        result.setdefault(key, []).append(_delivery(event))
    return result


def _text(event: Event) -> str:
    if event.status_from == event.status_to and event.status_to:
        return f"Validated in {event.status_to}."
    return writing.said(event.status_from or None, event.status_to)


def _delivery(event: Any) -> HistoryDelivery:
    response = str(event.status_code) if event.status_code else ""
    return HistoryDelivery(
        event.delivery, event.webhook, response or ("no response" if event.outcome else "")
    )


def state(entries: Iterable[HistoryEntry]) -> list[Any]:
    """Return what the page's digest depends on."""
    return [
        (entry.at, entry.text, [(d.row.pk, d.row.state, d.row.attempts) for d in entry.deliveries])
        for entry in entries
    ]


def webhook_facts(queue: Queue, row: QueueObject, account: Account) -> dict[str, Any]:
    """Return what the page says of webhooks for the object's changes.

    The count of enabled ones of the account, and until when deliveries were pruned.
    """
    listening = Q(active=True, type=types.EVENT)
    facts = Webhook.objects.filter(
        object_class=queue.object_class, product=row.product_id, account=account
    ).aggregate(count=Count("pk", filter=listening), until=Max("pruned_until"))
    until = facts["until"]
    return {
        "webhook_count": facts["count"] if account.pk in row.parties() else 0,
        "removed_until": until if until is not None and until >= row.created else None,
    }
