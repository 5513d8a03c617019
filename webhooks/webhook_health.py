"""Whether the counters of webhooks agree with the recorded events and attempts."""

from __future__ import annotations

from requests_queue.db import sql
from webhooks.models import Attempt, Event, Webhook

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
    return [
        f"{pk}: {name} is {counter}, but {counted} are recorded."
        for pk, *numbers in sql.fetch(_COUNTERS_SQL)
        for name, counter, counted in zip(_COUNTERS, numbers[::2], numbers[1::2], strict=True)
        if counter != counted
    ]
