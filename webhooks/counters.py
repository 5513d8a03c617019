"""Whether the counters of webhooks are what their rows add up to; asked by `check_counters`."""

from __future__ import annotations

from django.db import connection

from webhooks.models import Attempt, Event, Webhook

# One statement, so that it sees one moment of a database at work.
_SQL = f"""
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


def discrepancies() -> list[str]:
    """Return a sentence for each counter that isn't what was counted and what was pruned."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL)
        rows = cursor.fetchall()
    return [
        f"{pk}: {name} is {stored}, but {counted} are recorded."
        for pk, *numbers in rows
        for name, stored, counted in zip(_COUNTERS, numbers[::2], numbers[1::2], strict=True)
        if stored != counted
    ]
