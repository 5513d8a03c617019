"""The platform's signals, each passed on to the function that does the work."""

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from requests_queue.queues.validation import Wanted
from requests_queue.signals import (
    changes_made,
    collect_busy,
    collect_next_due,
    validation_requested,
)
from requests_queue.transitions import Change
from webhooks import clock_hooks
from webhooks.delivery import fan_out, validators


@receiver(changes_made)
def on_changes_made(changes: tuple[Change, ...], **kwargs: Any) -> None:
    """Record the changes of a transaction, in that transaction."""
    fan_out.record(*changes)


@receiver(validation_requested)
def on_validation_wanted(wanted: Wanted, **kwargs: Any) -> list[Any]:
    """Call the validators, and return what their answers change."""
    return validators.ask(wanted)


@receiver(collect_next_due)
def on_next_due_wanted(now: datetime, **kwargs: Any) -> datetime | None:
    """Say when the emitter has something to do next."""
    return clock_hooks.next_due(now)


@receiver(collect_busy)
def on_unsettled_wanted(now: datetime, **kwargs: Any) -> set[str]:
    """Say what is due or under way, and see that it goes on."""
    return clock_hooks.unsettled(now)
