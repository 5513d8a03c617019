"""Receivers of the platform's signals: queue changes, validations, and moves of the clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from requests_queue import topics
from requests_queue.queues.validation import ValidationRequest
from requests_queue.signals import (
    changes_made,
    collect_busy,
    collect_next_work,
    validation_requested,
)
from requests_queue.transitions import Change
from webhooks import announcements
from webhooks.delivery import claim, fan_out, validators, wakeup
from webhooks.delivery.attempt import RecordedAttempt
from webhooks.delivery.claim import Claim
from webhooks.delivery.fan_out import RecordedEvent
from webhooks.models import Delivery
from webhooks.signals import attempts_recorded, attempts_started, events_recorded
from webhooks.types import EVENT


@receiver(changes_made)
def record_changes(changes: tuple[Change, ...], **kwargs: Any) -> None:
    """Record the changes of a transaction, in that transaction."""
    fan_out.record(*changes)
    for change in changes:
        topics.announce_objects(change.account_ids, change.object_id)


@receiver(events_recorded)
def announce_events(events: Sequence[RecordedEvent], **kwargs: Any) -> None:
    """Announce the deliveries of changes to both parties, one of which has the webhook.

    Those of Trigger now are announced where they are made.
    """
    if not topics.LISTENERS:
        return
    by_accounts: dict[tuple[str, ...], list[RecordedEvent]] = {}
    for event in events:
        if event.change:
            by_accounts.setdefault(event.change.account_ids, []).append(event)
    for accounts, theirs in by_accounts.items():
        announcements.announce_all(
            accounts, {e.webhook_id for e in theirs}, [e.delivery_id for e in theirs]
        )


@receiver(attempts_started)
def announce_starts(claims: Sequence[Claim], **kwargs: Any) -> None:
    """Announce that requests are in flight."""
    _announce(claims)


@receiver(attempts_recorded)
def announce_ends(attempts: Sequence[RecordedAttempt], **kwargs: Any) -> None:
    """Announce finished attempts."""
    _announce(attempt.result.claim for attempt in attempts)


def _announce(claims: Iterable[Claim]) -> None:
    """Announce that deliveries and their webhooks have changed: one notice per webhook."""
    if not topics.LISTENERS:
        return
    by_webhook: dict[tuple[str, str], list[int]] = {}
    for each in claims:
        key = each.webhook.account_id, each.webhook.id
        by_webhook.setdefault(key, []).append(each.delivery_id)
    for (account, webhook), deliveries in by_webhook.items():
        announcements.announce(account, webhook, *deliveries)


@receiver(validation_requested)
def validate(request: ValidationRequest, **kwargs: Any) -> list[Any]:
    """Call the validators, and return what their responses change."""
    return validators.validate(request)


@collect_next_work.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next backoff with pending deliveries ends, or a request times out."""
    moments = [wakeup.next_due(now), *(at for _, at in _deadlines() if at and at > now)]
    return min((moment for moment in moments if moment is not None), default=None)


@collect_busy.connect
def unsettled(now: datetime, **kwargs: Any) -> set[str]:
    """Return labels of what is due or in flight at `now`, and wake the engine for what is due.

    The label of a request in flight changes when its deadline has passed: until then the clock
    may move while it is in flight, afterwards it must end.
    """
    with transaction.atomic():
        # Nothing is claimed between the two queries, and due deliveries are read last: a delivery
        # that becomes pending when its request ends is in one of the two.
        claim.lock()
        calling = {
            f"{'overdue' if at and at <= now else 'calling'}:{label}" for label, at in _deadlines()
        }
        due = {f"due:{pk}" for pk in claim.select(1, now)[0]}
    if due or any(label.startswith("overdue:") for label in calling):
        wakeup.send()
    return due | calling


def _deadlines() -> list[tuple[str, datetime | None]]:
    """Return each request in flight (its delivery and attempt number) and its deadline.

    None for a validator's, whose timeout is real time because a person or client waits for it.
    """
    timeout = timedelta(seconds=settings.SIM_HTTP_TIMEOUT)
    rows = Delivery.objects.filter(
        state=Delivery.CALLING, started_at__isnull=False, webhook__deleted_at=None
    )
    columns = ("pk", "attempts", "started_at", "webhook__type", "forced")
    return [
        (f"{pk}.{attempts + 1}", started_at + timeout if type_ == EVENT or forced else None)
        for pk, attempts, started_at, type_, forced in rows.values_list(*columns)
        if started_at is not None
    ]
