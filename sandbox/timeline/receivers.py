"""Receivers that write the timeline, in the transaction of what they report, and API calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from requests_queue import clock
from requests_queue.conversations.models import STATE_CHANGE, Message
from requests_queue.queues.transitions import Change
from requests_queue.redaction import Redaction
from requests_queue.signals import changes_made, storing_changes
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.timeline import Entry
from webhooks.delivery.attempt import RecordedAttempt
from webhooks.delivery.claim import Claim
from webhooks.delivery.fan_out import RecordedEvent
from webhooks.http.headers import secret_values
from webhooks.signals import (
    attempts_recorded,
    attempts_started,
    events_recorded,
    recording_attempts,
)


@receiver(storing_changes)
def store_cause(**kwargs: Any) -> None:
    """Write the API call that makes the changes: its entry is before theirs."""
    api_calls.store_start()


@receiver(changes_made)
def record_changes(changes: Sequence[Change], **kwargs: Any) -> None:
    """Write the changes of a transaction."""
    timeline.append(
        [
            Entry(
                timeline.CHANGE,
                change.at,
                object=change.object_id,
                data={
                    "object_class": change.object_class,
                    "product": change.product_id,
                    "from": change.status_from,
                    "to": change.status_to,
                    "actor": change.actor.role,
                },
            )
            for change in changes
        ]
    )


@receiver(post_save, sender=Message)
def record_message(instance: Message, created: bool, **kwargs: Any) -> None:
    """Write a message that somebody has posted; those of changes have entries of their own."""
    if not created or instance.type == STATE_CHANGE:
        return
    api_calls.store_start()
    data = {"id": instance.shown_id, "type": instance.type, "account": instance.account_id}
    about = instance.conversation.instance_id
    timeline.append([Entry(timeline.MESSAGE, clock.now(), object=about, data=data)])


@receiver(events_recorded)
def record_events(events: Sequence[RecordedEvent], **kwargs: Any) -> None:
    """Write the events of webhooks."""
    timeline.append(
        [
            Entry(
                timeline.EVENT,
                event.at,
                event.webhook_id,
                event.delivery_id,
                object=event.change.object_id if event.change else None,
                data={"from": event.change.status_from, "to": event.change.status_to}
                if event.change
                else {},
            )
            for event in events
        ]
    )


@receiver(attempts_started)
def record_starts(claims: Sequence[Claim], **kwargs: Any) -> None:
    """Write the starts of attempts, before their requests are sent."""
    objects = timeline.objects_of(each.delivery_id for each in claims)
    for each in claims:
        # A claimed delivery gets no more events.
        each.shared.objects[each.delivery_id] = objects.get(each.delivery_id, [])
    timeline.append(
        [
            _attempt(timeline.ATTEMPT_STARTED, each, each.number, objects.get(each.delivery_id, []))
            for each in claims
        ]
    )


@receiver(recording_attempts)
def store_api_calls(**kwargs: Any) -> None:
    """Write the API calls that were made until then: their entries are before those of the ends.

    Outside the transaction, since a flush of another thread may wait for it.
    """
    api_calls.flush()


@receiver(attempts_recorded)
def record_ends(attempts: Sequence[RecordedAttempt], **kwargs: Any) -> None:
    """Write the ends of attempts."""
    objects: dict[int, list[str]] = {}
    for claim in (each.result.claim for each in attempts):
        if claim.delivery_id in claim.shared.objects:
            objects[claim.delivery_id] = claim.shared.objects[claim.delivery_id]
    # Of lost workers, and of validators.
    if others := {each.result.claim.delivery_id for each in attempts} - objects.keys():
        objects |= timeline.objects_of(others)
    timeline.append([_finished(each, objects) for each in attempts])


def _finished(attempt: RecordedAttempt, objects: dict[int, list[str]]) -> Entry:
    result = attempt.result
    about = objects.get(result.claim.delivery_id, [])
    return _attempt(
        timeline.ATTEMPT_FINISHED,
        result.claim,
        attempt.number,
        about,
        attempt,
        outcome=result.outcome,
        status=result.response.status if result.response else None,
        error=result.error,
        duration=result.duration,
        why=attempt.why,
        state=attempt.state,
        next_attempt_at=timeline.format_time(attempt.next_attempt_at),
        out_of_order=attempt.out_of_order,
    )


def _attempt(
    kind: str,
    claim: Claim,
    number: int,
    objects: list[str],
    attempt: RecordedAttempt | None = None,
    **data: Any,
) -> Entry:
    webhook = claim.webhook
    secrets = (webhook.jwt_secret, *secret_values(webhook.headers))
    sent = {
        "type": webhook.type,
        "method": webhook.http_method,
        "url": _shown_url(webhook.external_url, secrets),
        "forced": claim.forced,
        "objects": objects,
    }
    return Entry(
        kind,
        attempt.at if attempt else claim.started_at,
        webhook.id,
        claim.delivery_id,
        number,
        timeline.only(objects),
        {**sent, **data},
    )


@lru_cache(maxsize=1000)
def _shown_url(url: str, secrets: tuple[str, ...]) -> str:
    return Redaction(secrets).text(url)
