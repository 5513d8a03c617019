"""Remove the rows of deleted webhooks in steps.

A webhook may have 100,000 deliveries. Deleting only marks it (`actions.delete`); its rows are
removed afterwards in short transactions, its own row last. If the process ends in between, the
webhook stays marked as deleted and the next run of any process continues.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection, transaction

from requests_queue import background_work, sql
from webhooks.models import Webhook

logger = logging.getLogger(__name__)

STEP = 1000  # rows that one transaction removes of a deleted webhook
AT_ONCE = 20  # webhooks whose first step is part of the deletion itself
SECONDS = 4.0  # of one run; the scheduler starts one every five
_PAUSE = 2.0  # after a step, in durations of the step: SQLite has one writer at a time
_running = threading.Lock()


def remove_now(webhook_ids: Sequence[str]) -> None:
    """Remove one step of each webhook that has just been deleted: usually all its rows."""
    for webhook_id in webhook_ids[:AT_ONCE]:
        remove_step(webhook_id)


def remove_deleted(seconds: float = SECONDS, *, pause: Callable[[float], Any] = time.sleep) -> None:
    """Remove rows of deleted webhooks for some seconds; one run at a time in a process."""
    if not _running.acquire(blocking=False):
        return
    try:
        end = time.monotonic() + seconds
        generation = background_work.generation()
        deleted = Webhook.with_deleted.filter(deleted_at__isnull=False)
        for webhook_id in list(deleted.order_by("deleted_at", "pk").values_list("pk", flat=True)):
            _remove_until(webhook_id, generation, end, pause)
    except background_work.Replaced:
        # The webhook may exist again.
        return
    finally:
        _running.release()


def _remove_until(
    webhook_id: str, generation: int, end: float, pause: Callable[[float], Any]
) -> None:
    while (began := time.monotonic()) < end:
        try:
            with background_work.running(generation):
                removed = remove_step(webhook_id)
        except DatabaseError as error:
            logger.warning(
                "Rows of the deleted webhook %s could not be removed (%s); trying again later.",
                webhook_id, type(error).__name__, extra={"webhook": webhook_id},
            )  # fmt: skip
            return
        if not removed:
            return
        pause(_PAUSE * (time.monotonic() - began))


@transaction.atomic
def remove_step(webhook_id: str) -> int:
    """Remove up to STEP rows of a deleted webhook and return how many were removed.

    The webhook's own row is the last; 0 where nothing is left, or the rest is locked.
    """
    # Cleared backoffs refer to attempts, so they are removed first.
    removed = _remove_rows("webhooks_clearedbackoff", webhook_id, STEP)
    removed += _remove_rows("webhooks_event", webhook_id, STEP - removed)
    removed += _remove_rows("webhooks_attempt", webhook_id, STEP - removed)
    removed += _remove_deliveries(webhook_id, STEP - removed)
    return removed + (_remove_webhook(webhook_id) if removed < STEP else 0)


def _remove_rows(table: str, webhook_id: str, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH old AS (
                SELECT id FROM {table} WHERE webhook_id = %s LIMIT %s {sql.skip_locked("UPDATE")}
            )
            DELETE FROM {table} WHERE id IN (SELECT id FROM old) RETURNING id
            """,
            [webhook_id, limit],
        )
        # SQLite's driver has no row count for a statement that starts with WITH.
        return len(cursor.fetchall())


def _remove_deliveries(webhook_id: str, limit: int) -> int:
    """Remove deliveries that have neither events nor attempts left."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id FROM webhooks_delivery d WHERE webhook_id = %s
            AND NOT EXISTS (SELECT 1 FROM webhooks_event e WHERE e.delivery_id = d.id)
            AND NOT EXISTS (SELECT 1 FROM webhooks_attempt a WHERE a.delivery_id = d.id)
            LIMIT %s {sql.skip_locked("UPDATE")}
            """,
            [webhook_id, limit],
        )
        ids = [pk for (pk,) in cursor.fetchall()]
        if not ids:
            return 0
        marks = sql.placeholders(ids)
        cursor.execute(f"DELETE FROM webhooks_resend WHERE delivery_id IN ({marks})", ids)
        cursor.execute(
            f"UPDATE webhooks_resend SET repeats_id = NULL WHERE repeats_id IN ({marks})", ids
        )
        cursor.execute(f"DELETE FROM webhooks_delivery WHERE id IN ({marks})", ids)
    return len(ids)


def _remove_webhook(webhook_id: str) -> int:
    """Remove the webhook's row if no delivery refers to it and no transaction holds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM webhooks_webhook WHERE id = %s AND deleted_at IS NOT NULL "
            f"{sql.skip_locked('UPDATE')}",
            [webhook_id],
        )
        if cursor.fetchone() is None:
            return 0
        # A statement of its own, so that it sees what was committed before the row was locked.
        cursor.execute(
            "DELETE FROM webhooks_webhook WHERE id = %s "
            "AND NOT EXISTS (SELECT 1 FROM webhooks_delivery d WHERE d.webhook_id = %s)",
            [webhook_id, webhook_id],
        )
        return int(cursor.rowcount)
