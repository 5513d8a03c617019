"""The health of a webhook in a line: its state, what it did in the last hour, what comes next."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db.models import Count

from portal import layout, panels
from requests_queue.catalog.models import Account
from webhooks import next_attempt
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.next_attempt import WorkerLoad
from webhooks.types import EVENT


class State(StrEnum):
    """The state of a webhook; the value is its label."""

    DISABLED = "Disabled"
    OUT_OF_ORDER = "Out of order"
    BACKING_OFF = "Backing off"
    # Of validators, which are not retried.
    FAILING = "Failing"
    RECOVERING = "Recovering"
    NEW = "New"
    HEALTHY = "Healthy"

    @property
    def tone(self) -> str:
        """The color, as the end of a class: `bad` of `badge-bad`."""
        return _TONES.get(self, "")


_TONES = {
    State.OUT_OF_ORDER: "bad",
    State.BACKING_OFF: "wait",
    State.FAILING: "bad",
    State.RECOVERING: "wait",
    State.HEALTHY: "good",
}


def state_of(row: Webhook) -> State:
    if not row.active:
        return State.DISABLED
    if row.out_of_order:
        return State.OUT_OF_ORDER
    if row.round:
        return State.BACKING_OFF
    if row.failure_since_last_success:
        return State.RECOVERING if row.type == EVENT else State.FAILING
    return State.HEALTHY if row.triggers else State.NEW


def read(row: Webhook, account: Account, now: datetime) -> dict[str, Any]:
    """Return what the health line shows; a constant number of statements.

    `since` is when the failures began, None without any; `succeeded` and `failed` are the attempts
    of the last hour; `digest` changes with what the line shows.
    """
    rows = Delivery.objects.filter(webhook=row, state=Delivery.WAITING)
    # Two counts, because there is a partial index for each value of `forced`, and many rows.
    pending = sum(rows.filter(forced=forced).count() for forced in (False, True))
    counts = _last_hour(row, now)
    filled = panels.fill(panels.WEBHOOK_HEALTH, account.pk, [row.pk])
    shown = {
        "state": state_of(row),
        "next": next_attempt.of_webhook(row, now, pending=pending, load=WorkerLoad()),
        "since": _failing_since(row),
        "pending": pending,
        "succeeded": counts[Attempt.SUCCESS],
        "failed": counts[Attempt.FAILURE],
    }
    digest = layout.digest(
        *shown.values(),
        row.round,
        row.failure_since_last_success,
        row.last_failure_id,
        row.last_success_id,
        [each.data for each in filled],
    )
    limit = settings.SIM_FAILURE_LIMIT
    return {**shown, "row": row, "limit": limit, "panels": filled, "digest": digest}


def _failing_since(row: Webhook) -> datetime | None:
    """Return when the first failure after the last success finished."""
    if not row.failure_since_last_success:
        return None
    rows = Attempt.objects.filter(webhook=row, outcome=Attempt.FAILURE)
    if row.last_success_id:
        rows = rows.filter(pk__gt=row.last_success_id)
    return rows.order_by("pk").values_list("finished_at", flat=True).first()


def _last_hour(row: Webhook, now: datetime) -> Counter[Any]:
    rows = Attempt.objects.filter(webhook=row, finished_at__gt=now - timedelta(hours=1))
    # Counts the outcome, so that the index alone is read.
    counted = rows.order_by().values_list("outcome").annotate(n=Count("outcome"))
    return Counter(dict(counted))
