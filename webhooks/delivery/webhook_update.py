"""Accumulate the state changes of webhooks in one flush, and write them in one statement.

`lock` the webhooks after their deliveries, `settle` and `count` the attempts in order of
completion, `write` once the attempts have ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from requests_queue import clock, sql
from webhooks import conf
from webhooks.delivery import retry
from webhooks.delivery.delivery_update import DeliveryUpdate
from webhooks.delivery.in_flight import AttemptResult
from webhooks.delivery.retry import BackoffState, Decision
from webhooks.models import ClearedBackoff
from webhooks.types import EVENT


@dataclass(slots=True)
class WebhookUpdate:
    """State changes accumulated per webhook in one flush.

    `last` maps outcomes to the index of the last attempt in the flush. `cleared` has, for each
    backoff that ended, the index of the attempt that ended it, the cause and the backoff.
    """

    backoff: BackoffState
    active: bool
    revision: int
    modified_at: datetime | None = None
    triggers: int = 0
    successes: int = 0
    failures: int = 0
    since_success: int = 0
    # None: no success or failure in the flush.
    responds: bool | None = None
    last: dict[str, int] = field(default_factory=dict)
    cleared: list[tuple[int, str, BackoffState]] = field(default_factory=list)

    def settle(
        self, result: AttemptResult, index: int, delivery: DeliveryUpdate, now: datetime
    ) -> Decision:
        """Apply the retry decision for an attempt to the webhook and the attempt's delivery.

        `index` is its position in the flush.
        """
        claimed, outdated = result.claimed, self._is_outdated(result)
        decision = retry.decide(
            retry.AttemptSummary(
                result.outcome,
                claimed.started_at,
                forced=claimed.forced,
                repeatable=claimed.webhook["type"] == EVENT,
                active=self.active,
                outdated=outdated,
                altered=claimed.override is not None and claimed.override.altered,
                backoff_began_at=claimed.webhook["gate_closed_at"],
                losses=delivery.count_loss(result, outdated=outdated),
            ),
            self.backoff,
            now,
            conf.policy(),
        )
        if decision.cleared:
            self.cleared.append((index, decision.cleared, self.backoff))
        self.backoff, delivery.due_at = decision.backoff, decision.due_at
        return decision

    def _is_outdated(self, result: AttemptResult) -> bool:
        if self.revision != result.claimed.webhook["revision"]:
            return True
        # The revision that a lost worker used is unknown, but not when the webhook was saved.
        return bool(
            result.is_lost
            and self.modified_at is not None
            and self.modified_at >= clock.shown(result.claimed.started_at)
        )

    def count(self, result: AttemptResult, index: int) -> None:
        """Count an attempt in the statistics; `index` is its position in the flush."""
        self.triggers += 1
        self.last[result.outcome] = index
        if result.outcome == retry.SUCCESS:
            self.successes += 1
            self.since_success = 0
            self.responds = True
        elif result.outcome == retry.FAILURE:
            self.failures += 1
            self.since_success += 1
            self.responds = result.response is not None


def lock(webhook_ids: Iterable[str], *, skip_locked: bool = False) -> dict[str, WebhookUpdate]:
    """Lock the webhooks in order of their ids; deleted or skipped ones are missing."""
    ids = sorted(webhook_ids)
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, earliest_possible_trigger, gate_closed_at, round, out_of_order, active,
                revision, modified_at, failure_since_last_success
            FROM webhooks_webhook WHERE deleted_at IS NULL AND id IN ({sql.placeholders(ids)})
            ORDER BY id {sql.for_update(skip_locked=skip_locked)}
            """,
            ids,
        )
        rows = cursor.fetchall()
    aware = sql.datetime_value
    return {
        pk: WebhookUpdate(
            # SQLite has integers instead of booleans.
            BackoffState(aware(until), aware(began_at), failures, bool(out_of_order)),
            bool(active),
            revision,
            aware(modified_at),
            since_success=since_success,
        )
        for (
            pk,
            until,
            began_at,
            failures,
            out_of_order,
            active,
            revision,
            modified_at,
            since_success,
        ) in rows
    }


def write(updates: Mapping[str, WebhookUpdate], attempt_ids: Sequence[int], now: datetime) -> None:
    """Write the webhooks and their cleared backoffs; `attempt_ids` are those of the flush."""
    _write_webhooks(updates, attempt_ids)
    cleared = [
        ClearedBackoff(
            webhook_id=pk,
            at=now,
            cause=cause,
            attempt_id=attempt_ids[index],
            began_at=backoff.began_at,
            until=backoff.until,
            failures=backoff.failures,
            was_out_of_order=backoff.out_of_order,
        )
        for pk, update in sorted(updates.items())
        for index, cause, backoff in update.cleared
    ]
    if cleared:
        ClearedBackoff.objects.bulk_create(cleared)


# What is written of each webhook, and PostgreSQL's types.
_COLUMNS = {
    "id": "varchar",
    "t": "bigint",
    "s": "bigint",
    "f": "bigint",
    "since": "bigint",
    "until": "timestamptz",
    "began": "timestamptz",
    "failures": "bigint",
    "out_of_order": "boolean",
    "success": "bigint",
    "failure": "bigint",
    "responds": "boolean",
}


def _write_webhooks(updates: Mapping[str, WebhookUpdate], attempt_ids: Sequence[int]) -> None:
    """Write all webhooks in one statement; what a flush says nothing about is null in it, and is
    left unchanged: the last attempts, and whether the webhook responds."""
    rows = [_row(pk, update, attempt_ids) for pk, update in sorted(updates.items())]
    source, params = sql.rows_of(rows, _COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH v({", ".join(_COLUMNS)}) AS ({source})
            UPDATE webhooks_webhook SET
                triggers = triggers + v.t,
                success_triggers = success_triggers + v.s,
                failure_triggers = failure_triggers + v.f,
                failure_since_last_success = v.since,
                earliest_possible_trigger = v.until,
                gate_closed_at = v.began,
                round = v.failures,
                out_of_order = v.out_of_order,
                last_success_id = COALESCE(v.success, last_success_id),
                last_failure_id = COALESCE(v.failure, last_failure_id),
                responds = COALESCE(v.responds, webhooks_webhook.responds)
            FROM v WHERE webhooks_webhook.id = v.id
            """,
            params,
        )


def _row(pk: str, update: WebhookUpdate, attempt_ids: Sequence[int]) -> tuple[Any, ...]:
    backoff, last = update.backoff, update.last
    return (
        pk,
        update.triggers,
        update.successes,
        update.failures,
        update.since_success,
        sql.datetime_param(backoff.until),
        sql.datetime_param(backoff.began_at),
        backoff.failures,
        backoff.out_of_order,
        attempt_ids[last[retry.SUCCESS]] if retry.SUCCESS in last else None,
        attempt_ids[last[retry.FAILURE]] if retry.FAILURE in last else None,
        update.responds,
    )
