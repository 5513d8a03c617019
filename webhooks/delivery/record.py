"""Record finished attempts: the attempts, their deliveries and their webhooks in one transaction.

`flush` stores results despite errors, `record` is its transaction. Only an attempt whose claim
still holds settles its delivery and changes the backoff; a late one, whose delivery another worker
has taken over, is recorded and counted all the same.

A reset or restore by another process may have replaced all data since the claim: its generation is
compared with that of the data, after the lock of the deliveries. A replacement locks their table
exclusively, so it has either been committed by then, or waits for the commit of the flush.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F

from requests_queue import assumptions, clock
from requests_queue.db import database_errors, sql
from webhooks import account_secrets, conf, states
from webhooks.delivery import fan_out, retry
from webhooks.delivery.attempt import (
    AttemptResult,
    RecordedAttempt,
    insert_attempts,
    redact,
)
from webhooks.delivery.request import PreparedRequest
from webhooks.delivery.retry import Decision
from webhooks.models import Attempt, ClearedBackoff, Delivery, Webhook
from webhooks.signals import attempts_recorded, flush_failed, recording_attempts
from webhooks.types import EVENT

logger = logging.getLogger(__name__)

LOCK_WAIT = 0.5  # seconds for which a flush waits for rows that another transaction holds
_MAX_FAILED = 10  # single rows that may fail in one flush, before it keeps the rest
_LONGEST = 2**31 - 1  # milliseconds that the column takes
_LATE = (
    "Recorded late: another worker had taken over the delivery meanwhile. The attempt counts, and "
    "changes neither the delivery nor the backoff."
)
_NOT_STORED = "The response could not be stored, so the attempt counts as a failure."


class Stored(StrEnum):
    """What became of a finished attempt."""

    SETTLED = "settled"  # its claim held: it decided about its delivery
    LATE = "late"  # its claim was lost: an extra attempt, counted, that decides nothing
    # Of a deleted webhook or replaced data, late with an unknown outcome, or recorded already.
    DROPPED = "dropped"
    REPLACED = "replaced"  # recorded as a failure, because the row could not be stored
    RELEASED = "released"  # not recorded; its delivery is released
    KEPT = "kept"  # not recorded yet, because of an error or of locked rows: try again


@dataclass(slots=True)
class _DeliveryRow:
    """A locked delivery: its claim if an attempt is in flight, and what the flush changes of it."""

    token: Any
    attempts: int
    losses: int
    added: int = 0
    state: str | None = None
    due_at: datetime | None = None


@dataclass(slots=True)
class _WebhookRow:
    """A locked webhook, and what the flush changes of it.

    `counts` and `last`: the number of attempts and the index of the last one, by outcome;
    `cleared`: of each backoff that ended, the index of the attempt that ended it, and the cause.
    """

    backoff: states.BackoffState
    active: bool
    revision: int
    modified_at: datetime | None
    since_success: int
    counts: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    responds: bool | None = None  # None: no success or failure in the flush
    cleared: list[tuple[int, str, states.BackoffState]] = field(default_factory=list)

    def apply(
        self, result: AttemptResult, index: int, delivery: _DeliveryRow, now: datetime, how: Stored
    ) -> RecordedAttempt:
        """Apply an attempt to its delivery and the webhook; `index` is its place in the flush."""
        delivery.added += 1
        number = delivery.attempts + delivery.added
        self.counts[result.outcome] = self.counts.get(result.outcome, 0) + 1
        self.last[result.outcome] = index
        if result.outcome == states.SUCCESS:
            self.since_success, self.responds = 0, True
        elif result.outcome == states.FAILURE:
            self.since_success, self.responds = self.since_success + 1, result.response is not None
        if how == Stored.LATE:
            return RecordedAttempt(result, number, now, _LATE)
        decision = self._decide(result, delivery, now)
        if decision.cleared:
            self.cleared.append((index, decision.cleared, self.backoff))
        self.backoff = decision.backoff
        delivery.state, delivery.due_at = decision.state, decision.due_at
        why, is_paused = result.note or decision.why, decision.backoff.out_of_order
        return RecordedAttempt(
            result, number, now, why, decision.state, decision.next_attempt_at, is_paused
        )

    def _decide(self, result: AttemptResult, delivery: _DeliveryRow, now: datetime) -> Decision:
        claim = result.claim
        is_lost = result.outcome == states.UNKNOWN and not result.stopped
        # The revision that a lost worker used is unknown, but not when the webhook was saved.
        outdated = self.revision != claim.webhook.revision or (
            is_lost
            and self.modified_at is not None
            and self.modified_at >= clock.shown(claim.started_at)
        )
        # An orderly stop is neither counted nor does it reset the count of lost workers in a row;
        # an edit of the webhook since the attempt's start does.
        if outdated or result.outcome != states.UNKNOWN:
            delivery.losses = 0
        elif is_lost:
            delivery.losses += 1
        return retry.decide(
            retry.AttemptSummary(
                result.outcome,
                claim.started_at,
                forced=claim.forced,
                repeatable=claim.webhook.type == EVENT,
                active=self.active,
                outdated=outdated,
                altered=claim.override is not None and claim.override.altered,
                backoff_began_at=claim.webhook.gate_closed_at,
                losses=delivery.losses if is_lost else 0,
            ),
            self.backoff,
            now,
            conf.policy(),
        )


def record(results: Sequence[AttemptResult], *, skip_locked: bool = False) -> list[Stored]:
    """Write the attempts, their deliveries and their webhooks; return what became of each.

    With `skip_locked`, rows that another transaction holds are KEPT; without, they are waited for,
    on PostgreSQL for LOCK_WAIT seconds, after which OperationalError is raised.
    Lock order: deliveries, then webhooks, each by id.
    """
    if not results:
        return []
    recording_attempts.send(sender=None)
    redactions = account_secrets.redactions({r.claim.webhook.account_id for r in results})
    requests: dict[int, PreparedRequest] = {}
    results = [redact(result, redactions, requests) for result in results]
    with transaction.atomic():
        sql.limit_lock_wait(LOCK_WAIT)
        lock = sql.for_update(skip_locked=skip_locked)
        deliveries = _lock_deliveries({r.claim.delivery_id for r in results}, lock)
        webhooks = _lock_webhooks({r.claim.webhook.id for r in results}, lock)
        # Read with the webhooks locked, so that attempts of one webhook are ordered by time.
        reading = clock.read()
        stored = _classify(results, deliveries, webhooks, reading.generation)
        attempts: list[RecordedAttempt] = []
        for result, how in zip(results, stored, strict=True):
            if how in (Stored.SETTLED, Stored.LATE):
                delivery = deliveries[result.claim.delivery_id]
                webhook = webhooks[result.claim.webhook.id]
                attempts.append(webhook.apply(result, len(attempts), delivery, reading.now, how))
        if not attempts:
            return stored
        ids = insert_attempts(attempts)
        _write_deliveries(deliveries)
        _write_webhooks({pk: row for pk, row in webhooks.items() if row.counts}, ids, reading.now)
        if assumptions.value("event_mode") == "coalesce":
            fan_out.coalesce([pk for pk, d in deliveries.items() if d.state == Delivery.WAITING])
        attempts_recorded.send(sender=None, attempts=attempts)
    return stored


def _lock_deliveries(ids: Iterable[int], lock: str) -> dict[int, _DeliveryRow]:
    """Lock the deliveries in order of their ids; deleted or skipped ones are missing."""
    rows = sql.fetch(
        f"""
        SELECT id, CASE state WHEN 'calling' THEN claim END, attempts, losses
        FROM webhooks_delivery WHERE id IN ({sql.integers(sorted(ids))}) ORDER BY id {lock}
        """
    )
    return {pk: _DeliveryRow(sql.uuid_value(token), *counts) for pk, token, *counts in rows}


def _lock_webhooks(ids: Iterable[str], lock: str) -> dict[str, _WebhookRow]:
    """Lock the webhooks in order of their ids; deleted or skipped ones are missing."""
    keys = sorted(ids)
    rows = sql.fetch(
        f"""
        SELECT id, active, revision, modified_at, failure_since_last_success,
            {", ".join(states.BACKOFF_COLUMNS)}
        FROM webhooks_webhook WHERE deleted_at IS NULL AND id IN ({sql.placeholders(keys)})
        ORDER BY id {lock}
        """,
        keys,
    )
    aware = sql.datetime_value
    return {
        pk: _WebhookRow(
            # SQLite has integers instead of booleans.
            states.BackoffState(aware(until), aware(began_at), failures, bool(paused)),
            bool(active),
            revision,
            aware(modified_at),
            since,
        )
        for pk, active, revision, modified_at, since, until, began_at, failures, paused in rows
    }


def _classify(
    results: Sequence[AttemptResult],
    deliveries: Mapping[int, _DeliveryRow],
    webhooks: Mapping[str, _WebhookRow],
    generation: int,
) -> list[Stored]:
    """Return what to do with each attempt, according to its delivery and its webhook."""

    def holds(result: AttemptResult) -> bool:
        delivery = deliveries.get(result.claim.delivery_id)
        return delivery is not None and delivery.token == result.claim.token

    # What is not locked was deleted, or another transaction holds it.
    missing = {r.claim.delivery_id for r in results} - deliveries.keys()
    busy: set[Any] = set(Delivery.objects.filter(pk__in=missing).values_list("pk", flat=True))
    hidden = {r.claim.webhook.id for r in results} - webhooks.keys()
    busy |= set(Webhook.objects.filter(pk__in=hidden).values_list("pk", flat=True))
    # After a connection broke during COMMIT it is unknown whether the flush was committed, so the
    # attempts are written again: those that are recorded already must not be counted twice.
    known = [r for r in results if r.outcome != states.UNKNOWN]
    late_ids = {r.claim.delivery_id for r in known if not holds(r)}
    columns = ("delivery_id", "started_at", "duration", "outcome")
    repeated = set(Attempt.objects.filter(delivery__in=late_ids).values_list(*columns))

    def classify(result: AttemptResult) -> Stored:
        claim = result.claim
        for pk, rows_by_id in ((claim.delivery_id, deliveries), (claim.webhook.id, webhooks)):
            if pk not in rows_by_id:
                return Stored.KEPT if pk in busy else Stored.DROPPED
        if claim.generation != generation:
            return Stored.DROPPED
        if holds(result):
            return Stored.SETTLED
        identity = (claim.delivery_id, claim.started_at, result.duration, result.outcome)
        is_known = result.outcome != states.UNKNOWN and identity not in repeated
        return Stored.LATE if is_known else Stored.DROPPED

    return [classify(result) for result in results]


def _write_deliveries(deliveries: Mapping[int, _DeliveryRow]) -> None:
    """Write the attempt counts of the deliveries, and end the claims of the settled ones."""
    groups: dict[tuple[str | None, int, int, datetime | None], list[int]] = {}
    for pk, row in deliveries.items():
        if row.added:
            key = (row.state, row.added, row.losses, row.due_at)
            groups.setdefault(key, []).append(pk)
    for (state, added, losses, due_at), pks in groups.items():
        settled = ", state = %s, claim = NULL, lease = NULL, forced = false, due_at = %s"
        sql.fetch(
            f"""
            UPDATE webhooks_delivery SET attempts = attempts + %s, losses = %s
            {"" if state is None else settled} WHERE id IN ({sql.integers(pks)})
            """,
            [added, losses, *([] if state is None else [state, sql.datetime_param(due_at)])],
        )


_KNOWN = (states.SUCCESS, states.FAILURE)
# How a flush changes the columns of a webhook. None leaves those as they are that are kept.
_ADDED = ("triggers", "success_triggers", "failure_triggers")
_KEPT = ("last_success_id", "last_failure_id", "responds")
_SET = ("failure_since_last_success", *states.BACKOFF_COLUMNS)
_CHANGES = ", ".join(
    [f"{name} = w.{name} + v.{name}" for name in _ADDED]
    + [f"{name} = COALESCE(v.{name}, w.{name})" for name in _KEPT]
    + [f"{name} = v.{name}" for name in _SET]
)


def _write_webhooks(
    webhooks: Mapping[str, _WebhookRow], attempt_ids: Sequence[int], now: datetime
) -> None:
    """Write the webhooks in one statement, and their cleared backoffs."""
    rows, cleared = [], []
    for pk, row in sorted(webhooks.items()):
        counts = [sum(row.counts.values()), *(row.counts.get(each, 0) for each in _KNOWN)]
        last = [attempt_ids[row.last[each]] if each in row.last else None for each in _KNOWN]
        until, began_at, *failures = astuple(row.backoff)
        backoff = [sql.datetime_param(until), sql.datetime_param(began_at), *failures]
        rows.append([pk, *counts, *last, row.responds, row.since_success, *backoff])
        cleared += [
            ClearedBackoff.of(pk, before, now, cause, attempt_id=attempt_ids[index])
            for index, cause, before in row.cleared
        ]
    types = sql.column_types(Webhook, ("id", *_ADDED, *_KEPT, *_SET))
    source, params = sql.rows_of(rows, types)
    sql.fetch(
        f"""
        WITH v({", ".join(types)}) AS ({source})
        UPDATE webhooks_webhook AS w SET {_CHANGES} FROM v WHERE w.id = v.id
        """,
        params,
    )
    if cleared:
        ClearedBackoff.objects.bulk_create(cleared)


@dataclass(slots=True)
class Flush:
    """What became of each result, in order, and the error because of which some are kept."""

    stored: list[Stored]
    error: Exception | None = None
    unavailable: bool = False  # the database as a whole
    failed_alone: list[int] = field(default_factory=list)  # positions of those kept alone, too


def flush(results: Sequence[AttemptResult], *, isolate: bool = False) -> Flush:
    """Record the attempts and return what became of each; raises no Exception.

    While the database is unavailable, all are kept: a success must not become a failure because a
    server restarts. After another error, they are tried in ever smaller parts, so that a row that
    can't be stored never blocks the others: it is stored as a failure with a message, or, if that
    fails too, its delivery is released. With `isolate`, the database is known to respond.
    """
    flushed = Flush([Stored.KEPT] * len(results))
    parts = [range(len(results))]
    while parts and len(flushed.failed_alone) < _MAX_FAILED:
        part = parts.pop()
        try:
            stored = _record([results[index] for index in part])
        except Exception as error:
            _clean_up()
            flushed.error = error
            if database_errors.is_unavailable(error) and not isolate:
                flushed.unavailable = True
                break
            if len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
                continue
            stored = [_replace(results[part[0]], error)]
            if stored == [Stored.KEPT]:
                flushed.failed_alone.append(part[0])
        for index, how in zip(part, stored, strict=True):
            flushed.stored[index] = how
    if flushed.error is not None:
        flush_failed.send(sender=None, error=flushed.error)
    return flushed


def _record(results: Sequence[AttemptResult]) -> list[Stored]:
    try:
        return record(results)
    except OperationalError as error:
        if database_errors.sqlstate(error) != database_errors.LOCK_NOT_AVAILABLE:
            raise
        return record(results, skip_locked=True)


def _clean_up() -> None:
    """Close an unusable connection, so that the next query opens a new one."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def _replace(result: AttemptResult, error: Exception) -> Stored:
    """Record a failure in place of an attempt that cannot be stored, or release its delivery."""
    if not database_errors.is_of_content(error):
        return Stored.KEPT
    claim = result.claim
    logger.error(
        "The attempt of delivery %s cannot be stored; it is recorded as a failure.",
        claim.delivery_id,
        exc_info=error,
        extra=claim.ids,
    )
    # Without request and response, whose content can't be stored.
    if result.outcome == states.UNKNOWN:
        plain = AttemptResult(claim, states.UNKNOWN, 0, stopped=result.stopped)
    else:
        duration = min(result.duration, _LONGEST)
        plain = AttemptResult(claim, states.FAILURE, duration, error=_NOT_STORED)
    try:
        return Stored.KEPT if _record([plain]) == [Stored.KEPT] else Stored.REPLACED
    except Exception as second:
        _clean_up()
        return _release(result) if database_errors.is_of_content(second) else Stored.KEPT


def _release(result: AttemptResult) -> Stored:
    """Release the delivery of an attempt that cannot be recorded in any form.

    The webhook backs off, since the request would otherwise be repeated in a loop; after an unknown
    outcome, which says nothing about the handler, the delivery alone waits.
    """
    claim = result.claim
    altered = claim.override is not None and claim.override.altered
    state = Delivery.WAITING if claim.webhook.type == EVENT and not altered else Delivery.FAILED
    logger.error(
        "The attempt of delivery %s of %s cannot be recorded in any form (outcome: %s); the "
        "delivery is released.",
        claim.delivery_id,
        claim.webhook.id,
        result.outcome,
        extra=claim.ids,
    )
    delivery = Delivery.objects.filter(pk=claim.delivery_id)
    try:
        with transaction.atomic():
            # Locked before the generation is read, as in a flush.
            delivery.filter(claim=claim.token, state=Delivery.CALLING).update(
                state=state, claim=None, lease=None, forced=False
            )
            now, generation = clock.read()
            until = clock.ceil(now + timedelta(seconds=settings.SIM_RETRY_BASE))
            if generation != claim.generation:
                return Stored.RELEASED
            if result.outcome == states.UNKNOWN:
                delivery.filter(state=Delivery.WAITING).update(due_at=until, losses=F("losses") + 1)
            else:
                # The backoff of a first failure, unless the webhook has a backoff.
                webhook = Webhook.objects.filter(pk=claim.webhook.id, active=True)
                webhook.filter(out_of_order=False, earliest_possible_trigger=None).update(
                    earliest_possible_trigger=until, gate_closed_at=now
                )
    except Exception as error:
        _clean_up()
        if not database_errors.is_of_content(error):
            return Stored.KEPT
        logger.exception("Delivery %s cannot be released.", claim.delivery_id, extra=claim.ids)
    return Stored.RELEASED
