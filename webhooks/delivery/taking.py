"""The rows of a claim: mark deliveries as in flight, and load what their requests need."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any

from django.db import connection

from requests_queue import prepared, sql
from webhooks.delivery.lateness import Row
from webhooks.models import Webhook

# What a request needs of its webhook; `gate_closed_at` identifies the backoff at the claim.
_COLUMNS = (
    "id",
    "type",
    "label",
    "object_class",
    "account_id",
    "product_id",
    "external_url",
    "http_method",
    "jwt_secret",
    "headers",
    "data",
    "revision",
    "gate_closed_at",
)
_ENCODED: dict[str, Any] = {
    name: Webhook._meta.get_field(name) for name in ("jwt_secret", "headers", "data")
}
_KEYS = (*_COLUMNS, "last_success_at", "last_failure_at")
_VALUES = ", ".join(
    [*(f"w.{name}" for name in _COLUMNS), "success.finished_at, failure.finished_at"]
)
_ATTEMPTS = """
    LEFT JOIN webhooks_attempt success ON success.id = w.last_success_id
    LEFT JOIN webhooks_attempt failure ON failure.id = w.last_failure_id
"""
_MARK = """
    UPDATE webhooks_delivery
    SET state = 'calling', claim = %s, lease = {epoch} + %s, started_at = %s
    WHERE state = 'waiting' AND id IN ({ids}) {where}
    RETURNING id, webhook_id, attempts, forced, created_at, due_at
"""
# PostgreSQL does both in one statement, with a row per webhook.
_MARK_AND_LOAD = """
    WITH free AS (
        SELECT id FROM webhooks_delivery
        WHERE state = 'waiting' AND id = ANY(%s::bigint[]) {skip_locked}
    ), taken AS ({mark}), of_webhook AS (
        SELECT webhook_id, array_agg(id) AS ids, array_agg(attempts) AS attempts,
            array_agg(forced) AS forced, array_agg(created_at) AS created,
            array_agg(due_at) AS due
        FROM taken GROUP BY webhook_id
    )
    SELECT t.ids, t.attempts, t.forced, t.created, t.due, {values}
    FROM of_webhook t JOIN webhooks_webhook w ON w.id = t.webhook_id {attempts}
    WHERE w.deleted_at IS NULL
"""

WebhookRow = Mapping[str, Any]


def mark(
    ids: Sequence[int],
    token: uuid.UUID,
    now: datetime,
    lease: float,
    where: str,
    params: Sequence[Any],
) -> tuple[list[Row], dict[str, WebhookRow]]:
    """Mark those of the deliveries as in flight that are pending and not locked.

    Return them by id, without those of deleted webhooks, and what requests need of their webhooks.
    `where` is one more condition, with its parameters.
    """
    values = [sql.uuid_param(token), lease, sql.datetime_param(now), *params]
    if connection.vendor == "postgresql":
        return _mark_and_load(ids, where, values)
    statement = _MARK.format(epoch=sql.epoch(), ids=sql.integers(ids), where=where)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        taken = sorted(cursor.fetchall())
    webhooks = load_webhooks({row[1] for row in taken})
    return [row for row in taken if row[1] in webhooks], webhooks


def _mark_and_load(
    ids: Sequence[int], where: str, values: Sequence[Any]
) -> tuple[list[Row], dict[str, WebhookRow]]:
    marking = _MARK.format(epoch=sql.epoch(), ids="SELECT id FROM free", where=where)
    statement = _MARK_AND_LOAD.format(
        skip_locked=sql.skip_locked(), mark=marking, values=_VALUES, attempts=_ATTEMPTS
    )
    taken: list[Row] = []
    webhooks: dict[str, WebhookRow] = {}
    # As text: psycopg has a type for each size of integers, and a prepared statement for each type.
    array = f"{{{sql.integers(ids)}}}"
    for pks, attempts, forced, created, due, *row in prepared.fetch(statement, [array, *values]):
        webhook = _webhook(row)
        webhooks[webhook["id"]] = webhook
        taken.extend(zip(pks, repeat(webhook["id"]), attempts, forced, created, due, strict=False))
    return sorted(taken), webhooks


def load_webhooks(webhook_ids: Collection[str]) -> dict[str, WebhookRow]:
    """Return what requests need of the webhooks, by id, without deleted ones."""
    if not webhook_ids:
        return {}
    with connection.cursor() as cursor:
        # Raw SQL: the ORM takes half of the time of a claim.
        cursor.execute(
            f"""
            SELECT {_VALUES} FROM webhooks_webhook w {_ATTEMPTS}
            WHERE w.deleted_at IS NULL AND w.id IN ({sql.placeholders(list(webhook_ids))})
            """,
            list(webhook_ids),
        )
        return {row["id"]: row for row in map(_webhook, cursor.fetchall())}


def _webhook(values: Sequence[Any]) -> WebhookRow:
    row = dict(zip(_KEYS, values, strict=True))
    for name, column in _ENCODED.items():
        row[name] = column.from_db_value(row[name], None, connection)
    for name in ("gate_closed_at", "last_success_at", "last_failure_at"):
        row[name] = sql.datetime_value(row[name])
    return row
