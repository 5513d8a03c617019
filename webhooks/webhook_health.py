"""Which webhooks of an account are in trouble: out of order, backing off, or failing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import F, Q

from requests_queue.catalog.models import Account
from webhooks.delivery import next_attempt, sql
from webhooks.delivery.next_attempt import NextAttempt, Situation
from webhooks.models import Webhook
from webhooks.types import EVENT

_SHOWN = (
    "id", "label", "type", "object_class", "active", "out_of_order",
    "earliest_possible_trigger", "round", "failure_since_last_success", "product__id",
    "product__name", "last_failure__error", "last_failure__status_code",
    "last_failure__finished_at", "last_failure__delivery_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """A webhook in trouble, and how many of its deliveries are pending."""

    webhook: Webhook
    waiting: int

    @property
    def is_validator(self) -> bool:
        """Whether it is a validator, which is called once and never again."""
        return self.webhook.type != EVENT

    def next(self, now: datetime, situation: Situation) -> NextAttempt:
        """Return when its next attempt is, and why."""
        return next_attempt.of_webhook(self.webhook, now, pending=self.waiting, situation=situation)


def out_of_order(account: Account, limit: int) -> list[Webhook]:
    """Return the account's webhooks that aren't called any more, `limit` at most."""
    rows = Webhook.objects.filter(account=account, active=True, out_of_order=True)
    return list(rows.only("id", "label", "failure_since_last_success").order_by("pk")[:limit])


def in_trouble(account: Account, limit: int) -> list[Trouble]:
    """Return the account's webhooks in trouble, the worst first, `limit` at most."""
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
    waiting = _waiting([row.pk for row in rows])
    return [Trouble(row, waiting.get(row.pk, 0)) for row in rows]


def _waiting(webhook_ids: Sequence[str]) -> dict[str, int]:
    if not webhook_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT webhook_id, COUNT(*) FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
            WHERE state = 'waiting' AND NOT forced AND webhook_id IN ({sql.marks(webhook_ids)})
            GROUP BY webhook_id
            """,
            webhook_ids,
        )
        return dict(cursor.fetchall())
