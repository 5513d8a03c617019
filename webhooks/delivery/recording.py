"""Record finished attempts: the attempts, their deliveries and their webhooks in one transaction.

Only an attempt whose claim still holds settles its delivery and changes the backoff. A late one,
whose delivery another worker has taken over, is recorded and counted all the same. Counters
change in the transaction that records the attempts, in order of completion.

A reset or restore by another process may have replaced all data since the claim: its generation is
compared with that of the data, after the lock of the deliveries. A replacement locks their table
exclusively, so it has either been committed by then, or waits for the commit of the flush.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from requests_queue import clock, encryption, fast_json, sql
from requests_queue.redaction import Redaction
from webhooks import account_secrets
from webhooks.delivery import delivery_update, fan_out, in_flight, retry, webhook_update
from webhooks.delivery.delivery_update import DeliveryUpdate
from webhooks.delivery.in_flight import AttemptResult, PreparedRequest
from webhooks.delivery.webhook_update import WebhookUpdate
from webhooks.http.headers import secret_values
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.signals import attempts_recorded, recording_attempts

LOCK_WAIT = 0.5  # seconds for which a flush waits for rows that another transaction holds
_LATE = (
    "Recorded late: another worker had taken over the delivery meanwhile. The attempt counts, and "
    "changes neither the delivery nor the backoff."
)
# The columns of an attempt and PostgreSQL's types, in the order of `attempt_row`.
_COLUMNS = {
    "webhook_id": "varchar",
    "delivery_id": "bigint",
    "number": "integer",
    "outcome": "varchar",
    "started_at": "timestamptz",
    "finished_at": "timestamptz",
    "duration": "integer",
    "method": "varchar",
    "url": "varchar",
    "request_headers": "jsonb",
    "request_body": "text",
    "claims": "jsonb",
    "status_code": "integer",
    "response_headers": "jsonb",
    "response_body": "bytea",
    "truncated": "boolean",
    "redacted": "boolean",
    "revision": "integer",
    "error": "text",
    "why": "text",
    "is_unmerged": "boolean",
    "next_attempt_at": "timestamptz",
    "faults": "jsonb",
}
# What claimed deliveries share.
_STORED, _REDACTED = "stored", "redacted"
# Attempts of one INSERT. SQLite takes 32,766 parameters; on PostgreSQL they are one text, of which
# psycopg makes copies.
_CHUNK = {"sqlite": 1000, "postgresql": 250}


class Stored(StrEnum):
    """What became of a finished attempt; REPLACED and RELEASED are decided by `flush`."""

    # The claim held: the attempt decided about its delivery.
    SETTLED = "settled"
    # The claim was lost: an extra attempt, counted, that decides nothing.
    LATE = "late"
    # An earlier flush recorded it, and its commit was not confirmed.
    REPEATED = "repeated"
    # Nothing to record: the webhook was deleted, all data was replaced, or no worker knows the
    # response.
    DROPPED = "dropped"
    # Recorded as a failure, because the row could not be stored.
    REPLACED = "replaced"
    # Not recorded; its delivery is released.
    RELEASED = "released"
    # Not recorded yet, because of an error or of rows that another transaction holds: try again.
    KEPT = "kept"


_COUNTED = (Stored.SETTLED, Stored.LATE)


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """A recorded attempt: its result, its number, and what was decided.

    `state` is the delivery's, None if the attempt came too late to decide about it.
    """

    result: AttemptResult
    number: int
    at: datetime
    why: str
    state: str | None = None
    next_attempt_at: datetime | None = None
    out_of_order: bool = False


def record(results: Sequence[AttemptResult], *, skip_locked: bool = False) -> list[Stored]:
    """Write the attempts, their deliveries and their webhooks; return what became of each.

    With `skip_locked`, rows that another transaction holds are KEPT; without, they are waited for,
    on PostgreSQL for LOCK_WAIT seconds, after which OperationalError is raised.
    Lock order: deliveries, then webhooks, each by id.
    """
    recording_attempts.send(sender=None)
    redactions = account_secrets.redactions({r.claimed.webhook["account_id"] for r in results})
    results = [redact(result, redactions) for result in results]
    with transaction.atomic():
        sql.limit_lock_wait(LOCK_WAIT)
        ids = {r.claimed.delivery_id for r in results}
        deliveries = delivery_update.lock(ids, skip_locked=skip_locked)
        recorded = _classify(results, deliveries)
        decided = zip(results, recorded, strict=True)
        counted = {r.claimed.webhook["id"] for r, how in decided if how in _COUNTED}
        updates = webhook_update.lock(counted, skip_locked=skip_locked)
        recorded = _without_webhook(results, recorded, counted - updates.keys())
        # Read with the webhooks locked, so that attempts of one webhook are ordered by time.
        now, generation = clock.read()
        recorded = [
            how if result.claimed.generation == generation else Stored.DROPPED
            for result, how in zip(results, recorded, strict=True)
        ]
        attempts = _apply(results, recorded, deliveries, updates, now)
        if not attempts:
            return recorded
        attempt_ids = insert_attempts([attempt_row(attempt) for attempt in attempts])
        states = {a.result.claimed.delivery_id: a.state for a in attempts if a.state is not None}
        delivery_update.write(deliveries, states)
        webhook_update.write(updates, attempt_ids, now)
        if settings.SIM_EVENT_MODE == "coalesce":
            fan_out.coalesce([pk for pk, state in states.items() if state == Delivery.WAITING])
        attempts_recorded.send(sender=None, attempts=attempts)
    return recorded


def _classify(
    results: Sequence[AttemptResult], deliveries: dict[int, DeliveryUpdate]
) -> list[Stored]:
    """Return what to do with each attempt, according to its delivery."""
    missing = {r.claimed.delivery_id for r in results} - deliveries.keys()
    busy = _existing(Delivery, missing)
    lost = [r for r in results if not _holds(r, deliveries) and r.outcome != retry.UNKNOWN]
    repeated = _recorded_identities(lost)

    def classify(result: AttemptResult) -> Stored:
        if result.claimed.delivery_id in missing:
            return Stored.KEPT if result.claimed.delivery_id in busy else Stored.DROPPED
        if _holds(result, deliveries):
            return Stored.SETTLED
        if result.outcome == retry.UNKNOWN:
            return Stored.DROPPED
        return Stored.REPEATED if _identity(result) in repeated else Stored.LATE

    return [classify(result) for result in results]


def _existing(model: type[Delivery | Webhook], pks: Collection[Any]) -> set[Any]:
    """Return those of the rows that exist, though another transaction may hold them."""
    # Without an id nothing is read, but the ORM would take as long to find that out.
    return set(model.objects.filter(pk__in=pks).values_list("pk", flat=True)) if pks else set()


def _holds(result: AttemptResult, deliveries: dict[int, DeliveryUpdate]) -> bool:
    delivery = deliveries.get(result.claimed.delivery_id)
    return delivery is not None and delivery.claim == result.claimed.claim


def _identity(result: AttemptResult) -> tuple[Any, ...]:
    return result.claimed.delivery_id, result.claimed.started_at, result.duration, result.outcome


def _recorded_identities(results: Sequence[AttemptResult]) -> set[tuple[Any, ...]]:
    """Return the identities of the recorded attempts of the same deliveries.

    After a connection broke during COMMIT it is unknown whether the flush was committed, so the
    attempts are written again: those that are recorded already must not be counted twice.
    """
    if not results:
        return set()
    rows = Attempt.objects.filter(delivery__in={r.claimed.delivery_id for r in results})
    return set(rows.values_list("delivery_id", "started_at", "duration", "outcome"))


def _without_webhook(
    results: Sequence[AttemptResult], recorded: Sequence[Stored], missing: set[str]
) -> list[Stored]:
    """Return what to do with each attempt, now that all webhooks but the missing are locked."""
    busy = _existing(Webhook, missing)

    def decide(webhook_id: str, how: Stored) -> Stored:
        if how not in _COUNTED or webhook_id not in missing:
            return how
        return Stored.KEPT if webhook_id in busy else Stored.DROPPED

    return [decide(r.claimed.webhook["id"], how) for r, how in zip(results, recorded, strict=True)]


def _apply(
    results: Sequence[AttemptResult],
    recorded: Sequence[Stored],
    deliveries: dict[int, DeliveryUpdate],
    updates: dict[str, WebhookUpdate],
    now: datetime,
) -> list[RecordedAttempt]:
    """Apply the attempts to their webhooks, in order; return those to record."""
    attempts: list[RecordedAttempt] = []
    for result, how in zip(results, recorded, strict=True):
        if how not in _COUNTED:
            continue
        pk, update = result.claimed.delivery_id, updates[result.claimed.webhook["id"]]
        delivery = deliveries[pk]
        if how == Stored.LATE:
            attempt = RecordedAttempt(result, delivery.next_number(), now, _LATE)
        else:
            decision = update.settle(result, len(attempts), delivery, now)
            attempt = RecordedAttempt(
                result,
                delivery.next_number(),
                now,
                result.note or decision.why,
                decision.state,
                decision.next_attempt_at,
                decision.backoff.out_of_order,
            )
        update.count(result, len(attempts))
        attempts.append(attempt)
    return attempts


def attempt_row(attempt: RecordedAttempt) -> tuple[Any, ...]:
    """Return the values of an attempt."""
    result = attempt.result
    claimed, response = result.claimed, result.response
    return (
        claimed.webhook["id"],
        claimed.delivery_id,
        attempt.number,
        result.outcome,
        sql.datetime_param(claimed.started_at),
        sql.datetime_param(attempt.at),
        result.duration,
        claimed.webhook["http_method"],
        claimed.webhook["external_url"],
        *_sent(result),
        response.status if response else None,
        fast_json.encode(response.headers).decode() if response else "[]",
        response.body if response else b"",
        response.truncated if response else False,
        result.redacted,
        claimed.webhook["revision"],
        # PostgreSQL stores no NUL in text.
        result.error.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        attempt.why,
        result.unmerged,
        sql.datetime_param(attempt.next_attempt_at),
        json.dumps(list(result.faults)) if result.faults else "[]",
    )


def redact(result: AttemptResult, redactions: Mapping[str, Redaction]) -> AttemptResult:
    """Return the result without secrets of its account, and those that it was sent with."""
    webhook, response = result.claimed.webhook, result.response
    sent = [webhook["jwt_secret"], *secret_values(webhook["headers"])]
    redaction = redactions[webhook["account_id"]].including(sent)
    changes: dict[str, Any] = {}
    headers = response.headers if response else ()
    texts = [webhook["external_url"], result.error, result.public_message, result.note]
    # One search: a response has several headers, and almost none has a secret.
    joined = "\n".join(chain(texts, *headers))
    if redaction.text(joined) != joined:
        url, error, public, note = map(redaction.text, texts)
        headers = tuple((redaction.text(k), redaction.text(v)) for k, v in headers)
        claimed = replace(result.claimed, webhook={**webhook, "external_url": url})
        changes = {"claimed": claimed, "error": error, "public_message": public, "note": note}
    if response is not None:
        encoding = next((v for k, v in response.headers if k.lower() == "content-encoding"), "")
        body = redaction.body(response.body, encoding, is_cut=response.truncated)
        if changes or body is not response.body:
            changes["response"] = replace(response, headers=headers, body=body)
    if (prepared := _redacted_request(result, redaction)) is not result.prepared:
        changes["prepared"] = prepared
    return replace(result, **changes, redacted=True) if changes else result


def _redacted_request(result: AttemptResult, redaction: Redaction) -> PreparedRequest | None:
    """Return the request without secrets, once for those that share it."""
    prepared, shared = result.prepared, result.claimed.shared
    if prepared is None:
        return None
    is_shared = shared.get(in_flight.REQUEST) is prepared
    if not is_shared:
        return _redact_request(prepared, redaction)
    if _REDACTED not in shared:
        shared[_REDACTED] = _redact_request(prepared, redaction)
    redacted: PreparedRequest = shared[_REDACTED]
    return redacted


def _redact_request(prepared: PreparedRequest, redaction: Redaction) -> PreparedRequest:
    """Return the request with body and claims redacted; headers are encrypted where stored."""
    body, claims = (prepared.request.body or b"").decode(), prepared.claims.decode()
    if redaction.text(joined := f"{body}\n{claims}") == joined:
        return prepared
    request = replace(prepared.request, body=redaction.text(body).encode())
    redacted = fast_json.encode(redaction.value(json.loads(claims)))
    return PreparedRequest(request, redacted, prepared.headers)


def _sent(result: AttemptResult) -> tuple[str, str, str]:
    """Return headers, body and claims as they are stored, once for those that share a request."""
    prepared, shared = result.prepared, result.claimed.shared
    if prepared is None:
        return "{}", "", "{}"
    is_shared = shared.get(in_flight.REQUEST) is prepared
    if not is_shared:
        return _stored(prepared)
    if _STORED not in shared:
        shared[_STORED] = _stored(prepared)
    stored: tuple[str, str, str] = shared[_STORED]
    return stored


def _stored(prepared: PreparedRequest) -> tuple[str, str, str]:
    return (
        json.dumps(encryption.seal(dict(prepared.headers))),
        (prepared.request.body or b"").decode(),
        prepared.claims.decode(),
    )


def insert_attempts(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """Insert the attempts and return their ids.

    Raw SQL: `bulk_create` of model instances takes a fifth of the CPU time of a delivery.
    """
    ids: list[int] = []
    size = _CHUNK[connection.vendor]
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            inserted, params = sql.rows_of(rows[start : start + size], _COLUMNS)
            columns = ", ".join(_COLUMNS)
            cursor.execute(
                f"INSERT INTO webhooks_attempt ({columns}) {inserted} RETURNING id", params
            )
            ids += [pk for (pk,) in cursor.fetchall()]
    return ids
