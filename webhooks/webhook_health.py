"""Health of an account's webhooks: failing ones, attempts of the last hour, counter checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import F, Q

from requests_queue import sql
from requests_queue.catalog.models import Account
from webhooks import next_attempt
from webhooks.delivery.retry import BACKOFF_COLUMNS
from webhooks.models import Attempt, Event, Webhook
from webhooks.next_attempt import NextAttempt, WorkerLoad
from webhooks.types import EVENT

MINUTES = 60
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
    """A webhook that is out of order, backs off or fails, with its number of pending deliveries."""

    webhook: Webhook
    pending: int

    @property
    def is_validator(self) -> bool:
        """Whether it is a validator, whose requests are never repeated."""
        return self.webhook.type != EVENT

    def next(self, now: datetime, load: WorkerLoad) -> NextAttempt:
        """Return when its next attempt is, and why."""
        return next_attempt.of_webhook(self.webhook, now, pending=self.pending, load=load)


def out_of_order(account: Account, limit: int) -> list[Webhook]:
    """Return the account's webhooks that are out of order, `limit` at most."""
    rows = Webhook.objects.filter(account=account, active=True, out_of_order=True)
    return list(rows.only("id", "label", "gate_closed_at").order_by("pk")[:limit])


def failing(account: Account, limit: int) -> list[FailingWebhook]:
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
    return [FailingWebhook(row, pending.get(row.pk, 0)) for row in rows]


def _pending(webhook_ids: Sequence[str]) -> dict[str, int]:
    if not webhook_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT webhook_id, COUNT(*) FROM webhooks_delivery {sql.indexed_by("delivery_waiting")}
            WHERE state = 'waiting' AND NOT forced
            AND webhook_id IN ({sql.placeholders(webhook_ids)})
            GROUP BY webhook_id
            """,
            webhook_ids,
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """The number of attempts that finished in one minute, by outcome."""

    at: datetime
    success: int = 0
    failure: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """Return the number of all attempts."""
        return self.success + self.failure + self.unknown


def last_hour(account: Account, now: datetime) -> list[MinuteCounts]:
    """Return the account's last 60 minutes, the oldest first; the current one is the last."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    first = last - timedelta(minutes=MINUTES - 1)
    counts = _count_by_minute(account, first)
    minutes = (first + timedelta(minutes=n) for n in range(MINUTES))
    return [MinuteCounts(at, **counts[f"{at:%Y-%m-%d %H:%M}"]) for at in minutes]


def _count_by_minute(account: Account, first: datetime) -> dict[str, dict[str, int]]:
    """Return the number of attempts by minute and outcome; the index alone is read."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {sql.minute_of("a.finished_at")} AS minute, a.outcome, COUNT(*)
            FROM webhooks_webhook w JOIN webhooks_attempt a ON a.webhook_id = w.id
            WHERE w.account_id = %s AND w.deleted_at IS NULL AND a.finished_at >= %s
            GROUP BY minute, a.outcome
            """,
            [account.pk, sql.datetime_param(first)],
        )
        for minute, outcome, count in cursor.fetchall():
            if outcome in (Attempt.SUCCESS, Attempt.FAILURE, Attempt.UNKNOWN):
                counts[minute][outcome] = count
    return counts


# One statement, so that all counts are of the same moment while the database is in use.
_COUNTERS_SQL = f"""
SELECT w.id,
    w.events, COALESCE(e.n, 0) + w.pruned_events,
    w.triggers,
    COALESCE(a.n, 0) + w.pruned_successes + w.pruned_failures + w.pruned_unknown,
    w.success_triggers, COALESCE(a.successes, 0) + w.pruned_successes,
    w.failure_triggers, COALESCE(a.failures, 0) + w.pruned_failures
FROM {Webhook._meta.db_table} w
LEFT JOIN (
    SELECT webhook_id, COUNT(*) AS n FROM {Event._meta.db_table} GROUP BY webhook_id
) e ON e.webhook_id = w.id
LEFT JOIN (
    SELECT webhook_id, COUNT(*) AS n,
        SUM(CASE WHEN outcome = '{Attempt.SUCCESS}' THEN 1 ELSE 0 END) AS successes,
        SUM(CASE WHEN outcome = '{Attempt.FAILURE}' THEN 1 ELSE 0 END) AS failures
    FROM {Attempt._meta.db_table} GROUP BY webhook_id
) a ON a.webhook_id = w.id
WHERE w.deleted_at IS NULL
ORDER BY w.id
"""
_COUNTERS = ("events", "triggers", "success_triggers", "failure_triggers")


def counter_discrepancies() -> list[str]:
    """Return a sentence for each counter that differs from the stored and the pruned rows."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTERS_SQL)
        rows = cursor.fetchall()
    return [
        f"{pk}: {name} is {stored}, but {counted} are recorded."
        for pk, *numbers in rows
        for name, stored, counted in zip(_COUNTERS, numbers[::2], numbers[1::2], strict=True)
        if stored != counted
    ]
