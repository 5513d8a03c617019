"""Receivers of the platform's signals: queue changes and validations."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from requests_queue import topics
from requests_queue.queues.transitions import Change
from requests_queue.queues.validation import ValidationRequest
from requests_queue.signals import changes_made, validation_requested
from webhooks.delivery import fan_out, validators


@receiver(changes_made)
def record_changes(changes: tuple[Change, ...], **kwargs: Any) -> None:
    """Record the changes of a transaction, in that transaction."""
    fan_out.record(*changes)
    for change in changes:
        topics.announce_objects(change.account_ids, change.object_id)


@receiver(validation_requested)
def validate(request: ValidationRequest, **kwargs: Any) -> list[Any]:
    """Call the validators, and return what their responses change."""
    return validators.validate(request)
