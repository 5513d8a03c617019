"""Receivers of the platform's signals: queue changes, and what settling and the forecast ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from extensions import dispatch, fan_out, interactive, schedules
from extensions.signals import wake
from requests_queue.queues.transitions import Change
from requests_queue.queues.validation import ValidationRequest
from requests_queue.signals import (
    changes_made,
    collect_busy,
    collect_next_due,
    collect_next_work,
    due_reached,
    validation_requested,
)


@receiver(changes_made)
def record_changes(changes: tuple[Change, ...], **kwargs: Any) -> None:
    """Record the changes of a transaction, in that transaction."""
    fan_out.record(changes)


@receiver(validation_requested)
def validate(request: ValidationRequest, **kwargs: Any) -> list[Any]:
    """Call the extensions that validate, and return what their answers change."""
    return interactive.validate(request)


@collect_next_due.connect
def next_scheduled(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next schedule is due."""
    return schedules.next_due()


@collect_next_work.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next rescheduled, repeated or lost task is due."""
    return dispatch.next_due(now)


@collect_busy.connect
def unsettled(now: datetime, **kwargs: Any) -> set[str]:
    """Return labels of tasks that are processed, or due while a runner is there."""
    return dispatch.busy(now)


@due_reached.connect
def send_due(now: datetime, **kwargs: Any) -> None:
    """Insert the tasks of schedules that are due, and send what is due now."""
    schedules.run_due(now)
    dispatch.hand_back_overdue(now)
    wake.send(sender=None)
