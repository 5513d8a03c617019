"""What of the deliveries a move of the clock stops at, and what it waits for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from requests_queue.signals import collect_busy, collect_next_work
from webhooks.delivery import claim, wakeup
from webhooks.models import Delivery
from webhooks.types import EVENT


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
