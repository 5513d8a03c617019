"""What happened to an object: its status changes and messages, and who was called for each.

Calls are those of the viewer's webhooks; the other party's are its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery

from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.conversations import writing
from requests_queue.conversations.models import MESSAGE, PRIVATE, Message
from requests_queue.queues.base import BAD, BUSY, GOOD, Queue, QueueObject
from webhooks import types
from webhooks.models import Attempt, Delivery, Event, Webhook

_TONES = {
    Delivery.WAITING: BUSY, Delivery.CALLING: BUSY,
    Delivery.DELIVERED: GOOD, Delivery.FAILED: BAD,
}  # fmt: skip

# Of each kind the latest are shown.
SHOWN = 100


@dataclass(frozen=True, slots=True)
class HistoryDelivery:
    """A webhook that was told of a change, and how its delivery stands."""

    webhook_id: str
    label: str
    kind: str
    delivery_id: int
    state: str
    attempts: int
    answer: str

    @property
    def tone(self) -> str:
        """How it looks."""
        if self.state == Delivery.WAITING and self.attempts:
            return BAD
        return _TONES.get(self.state, "")

    @property
    def standing(self) -> str:
        """How it stands, in words."""
        if self.state == Delivery.WAITING and self.attempts:
            return "waiting to be tried again"
        return self.state


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened: who did it, what they said, who was called because of it."""

    at: datetime
    who: str
    account: str
    text: str
    kind: str
    calls: tuple[HistoryDelivery, ...] = ()


def of(row: QueueObject, account: Account) -> list[HistoryEntry]:
    """Return what happened, the latest first; two statements."""
    told = _calls(row.pk, account)
    found = []
    for message in _messages(row.pk, account):
        calls = told.pop((message.text, message.created), ())
        found.append(_said(message, tuple(calls)))
    for (text, at), calls in told.items():
        # No message tells of what left the status as it was.
        found.append(HistoryEntry(at, "", "", text, "event", tuple(calls)))
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _messages(pk: str, account: Account) -> list[Message]:
    rows = Message.visible_to(account).filter(conversation__instance_id=pk)
    return list(rows.select_related("creator", "account").order_by("-pk")[:SHOWN])


def _said(message: Message, calls: tuple[HistoryDelivery, ...]) -> HistoryEntry:
    kind = {MESSAGE: "message", PRIVATE: "private"}.get(message.type, "change")
    company = message.account.name if message.account else ""
    who = message.creator.name if message.creator else company or "The platform"
    return HistoryEntry(
        message.created, who, company if message.creator else "", message.text, kind, calls
    )


def _calls(pk: str, account: Account) -> dict[tuple[str, datetime], list[HistoryDelivery]]:
    """Return the calls by what their change is called in the conversation, and its moment."""
    last = Attempt.objects.filter(delivery=OuterRef("delivery")).order_by("-number")
    events = (
        Event.objects.filter(
            object_id=pk, webhook__account=account, webhook__deleted_at=None
        )
        .annotate(
            status_code=Subquery(last.values("status_code")[:1]),
            outcome=Subquery(last.values("outcome")[:1]),
        )
        .select_related("webhook", "delivery")
        .only("status_from", "status_to", "object_id", "at", "delivery__state",
              "delivery__attempts", "webhook__label", "webhook__type", "webhook__object_class")
    )  # fmt: skip
    found: dict[tuple[str, datetime], list[HistoryDelivery]] = {}
    for event in events.order_by("-pk")[:SHOWN]:
        key = (_named(event), clock.shown(event.at))
        found.setdefault(key, []).append(_call(event))
    return found


def _named(event: Event) -> str:
    if event.status_from == event.status_to and event.status_to:
        return f"Validated in {event.status_to}."
    if not event.status_from:
        return writing.said(None, event.status_to)
    return writing.said(event.status_from, event.status_to)


def _call(event: Any) -> HistoryDelivery:
    kind = "event" if event.webhook.type == types.EVENT else "validator"
    answer = str(event.status_code) if event.status_code else ""
    if not answer and event.outcome:
        answer = "no answer"
    return HistoryDelivery(
        event.webhook_id, event.webhook.label, kind, event.delivery_id, event.delivery.state,
        event.delivery.attempts, answer,
    )  # fmt: skip


def state(entries: Iterable[HistoryEntry]) -> list[Any]:
    """Return what a change of the history would change."""
    return [
        (entry.at, entry.text, [(c.delivery_id, c.state, c.attempts) for c in entry.calls])
        for entry in entries
    ]


def watching(queue: Queue, row: QueueObject, account: Account) -> int:
    """Return how many enabled webhooks of the account are told of the object's changes."""
    rows = Webhook.objects.filter(
        active=True, type=types.EVENT, object_class=queue.object_class,
        product=row.product_id, account=account,
    )  # fmt: skip
    return rows.count() if account.pk in row.parties() else 0
