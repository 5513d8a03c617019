"""Many finished deliveries, inserted by few statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection
from django.db.models import Count, Q

from tests import make
from webhooks import states
from webhooks.models import Attempt, Webhook


def fill(hooks: Sequence[Webhook], each: int, body: int = 0) -> None:
    """Insert that many old deliveries of each webhook, with an event and an attempt."""
    at = connection.ops.adapt_datetimefield_value(make.AT - timedelta(days=300))
    text, empty = "x" * body, b""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(id), 0) FROM webhooks_delivery")
        [last] = cursor.fetchone()
        for hook in hooks:
            numbers = (
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each})"
            )
            cursor.execute(
                "INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts) "
                f"{numbers} SELECT %s, 'delivered', %s, %s, 1 FROM n",
                [hook.pk, False, at],
            )
            cursor.execute(
                "INSERT INTO webhooks_event "
                "(webhook_id, delivery_id, object_id, status_from, status_to, at) "
                "SELECT webhook_id, id, 'PR-1', '', '', created_at FROM webhooks_delivery "
                "WHERE webhook_id = %s AND id > %s",
                [hook.pk, last],
            )
            cursor.execute(
                "INSERT INTO webhooks_attempt (webhook_id, delivery_id, number, outcome, "
                "started_at, finished_at, duration, method, url, request_headers, request_body, "
                "claims, response_headers, response_body, truncated, error, why, is_unmerged, "
                "faults) SELECT webhook_id, id, 1, 'success', created_at, created_at, 1, 'POST', "
                "'http://127.0.0.1/', '{}', %s, '{}', '[]', %s, %s, '', '', %s, '[]' "
                "FROM webhooks_delivery WHERE webhook_id = %s AND id > %s",
                [text, empty, False, False, hook.pk, last],
            )
    for hook in hooks:
        count_rows(hook)


def count_rows(hook: Webhook) -> None:
    attempts = Attempt.objects.filter(webhook=hook).order_by()
    counts = attempts.aggregate(
        triggers=Count("pk"),
        success_triggers=Count("pk", filter=Q(outcome=states.SUCCESS)),
        failure_triggers=Count("pk", filter=Q(outcome=states.FAILURE)),
    )
    Webhook.objects.filter(pk=hook.pk).update(events=hook.event_set.count(), **counts)
