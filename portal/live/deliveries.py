"""Announce to open pages what becomes of events and deliveries, in the transaction of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from requests_queue import topics
from webhooks import announcements
from webhooks.delivery.attempt import RecordedAttempt
from webhooks.delivery.claim import Claim
from webhooks.delivery.fan_out import RecordedEvent
from webhooks.signals import attempts_recorded, attempts_started, events_recorded


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


@receiver(attempts_recorded)
def announce_ends(attempts: Sequence[RecordedAttempt], **kwargs: Any) -> None:
    """Announce finished attempts."""
    announce_attempts([attempt.result.claim for attempt in attempts])


@receiver(attempts_started)
def announce_attempts(claims: Sequence[Claim], **kwargs: Any) -> None:
    """Announce that deliveries and their webhooks have changed: one notice per webhook."""
    if not topics.LISTENERS:
        return
    by_webhook: dict[tuple[str, str], list[int]] = {}
    for each in claims:
        key = each.webhook.account_id, each.webhook.id
        by_webhook.setdefault(key, []).append(each.delivery_id)
    for (account, webhook), deliveries in by_webhook.items():
        announcements.announce(account, webhook, *deliveries)
