"""An account's failing webhooks, as Home shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q

from requests_queue.catalog.models import Account
from requests_queue.db import sql
from webhooks import next_attempt
from webhooks.models import Webhook
from webhooks.next_attempt import NextAttempt, WorkerLoad
from webhooks.states import BACKOFF_COLUMNS
from webhooks.types import EVENT

_SHOWN = (
    "id",
    "label",
    "type",
    "object_class",
    "active",
    *BACKOFF_COLUMNS,
    "failure_since_last_success",
    "triggers",
    "responds",
    "product__id",
    "product__name",
    "last_failure__error",
    "last_failure__status_code",
    "last_failure__finished_at",
    "last_failure__delivery_id",
)


@dataclass(frozen=True, slots=True)
class FailingWebhook:
    """A webhook that is out of order, backs off or fails, and what comes next."""

    webhook: Webhook
    pending: int
    next: NextAttempt


def webhooks(account: Account, limit: int, now: datetime) -> list[FailingWebhook]:
    """Return the account's failing webhooks, those out of order first, `limit` at most."""
    validating = ~Q(type=EVENT) & Q(failure_since_last_success__gt=0)
    rows = list(
        Webhook.objects.filter(account=account, active=True)
        .filter(Q(out_of_order=True) | Q(earliest_possible_trigger__isnull=False) | validating)
        .select_related("product", "last_failure")
        .only(*_SHOWN)
        .order_by("-out_of_order", F("earliest_possible_trigger").asc(nulls_last=True), "pk")[
            :limit
        ]
    )
    pending = _pending([row.pk for row in rows])
    load = WorkerLoad()
    return [
        FailingWebhook(row, n, next_attempt.of_webhook(row, now, pending=n, load=load))
        for row, n in ((row, pending.get(row.pk, 0)) for row in rows)
    ]


def _pending(webhook_ids: Sequence[str]) -> dict[str, int]:
    if not webhook_ids:
        return {}
    return dict(
        sql.fetch(
            f"""
            SELECT webhook_id, COUNT(*) FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
            WHERE state = 'waiting' AND NOT forced
            AND webhook_id IN ({sql.placeholders(webhook_ids)})
            GROUP BY webhook_id
            """,
            webhook_ids,
        )
    )
