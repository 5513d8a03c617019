"""Record finished attempts: the attempts, their deliveries and their webhooks in one transaction.

Only an attempt whose claim still holds settles its delivery and moves the backoff. One that comes
late, because another worker has taken over its delivery, is recorded and counted all the same.
Counters change in the transaction that records the attempts, in order of completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from requests_queue import clock
from webhooks import attempts, conf, retry, sql
from webhooks.calls import Finished
from webhooks.merging import merge_waiting
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.types import EVENT

_LATE = (
    "Recorded late: another worker had taken over the delivery meanwhile. The attempt counts, and "
    "changes neither the delivery nor the backoff."
)


class Recorded(StrEnum):
    """What became of a finished attempt."""

    # The claim held: the attempt decided about its delivery.
    SETTLED = "settled"
    # The claim was lost: an extra attempt, counted, that decides nothing.
    LATE = "late"
    # An earlier flush recorded it, and its commit was not confirmed.
    REPEATED = "repeated"
    # Nothing to record: the webhook was deleted, or both workers know nothing of the response.
    DROPPED = "dropped"
    # Another transaction holds the rows: try again.
    BUSY = "busy"


_COUNTED = (Recorded.SETTLED, Recorded.LATE)


@dataclass(slots=True)
class _Row:
    """A locked delivery: its claim while an attempt is in flight, and its count of attempts."""

    claim: Any
    attempts: int
    added: int = 0

    def next_number(self) -> int:
        """Return the number of the next attempt that is recorded."""
        self.added += 1
        return self.attempts + self.added


@dataclass(slots=True)
class _Account:
    """What the calls of one flush make of a webhook."""

    standing: retry.Standing
    active: bool
    revision: int
    triggers: int = 0
    successes: int = 0
    failures: int = 0
    since_success: int = 0
    # By outcome, which of the flush's attempts is the last.
    last: dict[str, int] = field(default_factory=dict)


def record(finished: Sequence[Finished], *, skip_locked: bool = False) -> list[Recorded]:
    """Write the attempts, their deliveries and their webhooks; return what became of each.

    With `skip_locked`, what another transaction holds is BUSY; without, it is waited for, on
    PostgreSQL for sql.LOCK_WAIT seconds, after which OperationalError is raised.
    Lock order: deliveries, then webhooks, each by id.
    """
    with transaction.atomic():
        sql.limit_lock_wait()
        deliveries = _lock_deliveries(finished, skip_locked)
        found = _classify(finished, deliveries)
        counted = [f for f, kind in zip(finished, found, strict=True) if kind in _COUNTED]
        accounts = _lock({f.claimed.webhook["id"] for f in counted}, skip_locked)
        found = _without_webhook(finished, found, accounts)
        rows, states = _apply(finished, found, deliveries, accounts)
        if not rows:
            return found
        attempt_ids = attempts.insert(rows)
        _write_deliveries(deliveries, states)
        _write_webhooks(accounts, attempt_ids)
        if settings.SIM_EVENT_MODE == "coalesce":
            merge_waiting([pk for pk, state in states.items() if state == Delivery.WAITING])
    return found


def _without_webhook(
    finished: Sequence[Finished], found: Sequence[Recorded], accounts: dict[str, _Account]
) -> list[Recorded]:
    """Return what is to be done with each attempt, now that the webhooks are locked."""
    missing = {
        call.claimed.webhook["id"]
        for call, kind in zip(finished, found, strict=True)
        if kind in _COUNTED
    } - accounts.keys()
    busy = set(Webhook.objects.filter(pk__in=missing).values_list("pk", flat=True))

    def decide(webhook_id: str, kind: Recorded) -> Recorded:
        if kind not in _COUNTED or webhook_id not in missing:
            return kind
        return Recorded.BUSY if webhook_id in busy else Recorded.DROPPED

    return [decide(f.claimed.webhook["id"], kind) for f, kind in zip(finished, found, strict=True)]


def _apply(
    finished: Sequence[Finished],
    found: Sequence[Recorded],
    deliveries: dict[int, _Row],
    accounts: dict[str, _Account],
) -> tuple[list[attempts.Row], dict[int, str]]:
    """Apply the attempts to their webhooks, in order; return their rows and deliveries' states."""
    now = clock.now()
    rows: list[attempts.Row] = []
    states: dict[int, str] = {}
    for call, kind in zip(finished, found, strict=True):
        if kind not in _COUNTED:
            continue
        pk, account, why = call.claimed.delivery_id, accounts[call.claimed.webhook["id"]], _LATE
        if kind == Recorded.SETTLED:
            decision = _settle(call, account, now)
            states[pk], why = decision.state, call.note or decision.why
        _count(call, account)
        account.last[call.outcome] = len(rows)
        rows.append(attempts.row(call, deliveries[pk].next_number(), why, now))
    return rows, states


def _lock_deliveries(finished: Sequence[Finished], skip_locked: bool) -> dict[int, _Row]:
    rows = Delivery.objects.filter(pk__in={f.claimed.delivery_id for f in finished})
    locked = rows.select_for_update(skip_locked=skip_locked).order_by("pk")
    return {
        pk: _Row(claim if state == Delivery.CALLING else None, count)
        for pk, state, claim, count in locked.values_list("pk", "state", "claim", "attempts")
    }


def _classify(finished: Sequence[Finished], deliveries: dict[int, _Row]) -> list[Recorded]:
    """Return what is to be done with each attempt, judged by its delivery."""
    missing = {f.claimed.delivery_id for f in finished} - deliveries.keys()
    busy = set(Delivery.objects.filter(pk__in=missing).values_list("pk", flat=True))
    lost = [f for f in finished if not _holds(f, deliveries) and f.outcome != retry.UNKNOWN]
    recorded = _recorded(lost)

    def classify(call: Finished) -> Recorded:
        if call.claimed.delivery_id in missing:
            return Recorded.BUSY if call.claimed.delivery_id in busy else Recorded.DROPPED
        if _holds(call, deliveries):
            return Recorded.SETTLED
        if call.outcome == retry.UNKNOWN:
            return Recorded.DROPPED
        return Recorded.REPEATED if _identity(call) in recorded else Recorded.LATE

    return [classify(call) for call in finished]


def _holds(call: Finished, deliveries: dict[int, _Row]) -> bool:
    delivery = deliveries.get(call.claimed.delivery_id)
    return delivery is not None and delivery.claim == call.claimed.claim


def _identity(call: Finished) -> tuple[Any, ...]:
    return call.claimed.delivery_id, call.claimed.started_at, call.duration, call.outcome


def _recorded(finished: Sequence[Finished]) -> set[tuple[Any, ...]]:
    """Return the identities of the recorded attempts of these ones' deliveries.

    A connection that breaks during COMMIT leaves open whether the flush was committed, so the
    attempts are written again: those that are there already must not be counted twice.
    """
    rows = Attempt.objects.filter(delivery__in={f.claimed.delivery_id for f in finished})
    return set(rows.values_list("delivery_id", "started_at", "duration", "outcome"))


def _lock(webhook_ids: set[str], skip_locked: bool) -> dict[str, _Account]:
    found = Webhook.objects.filter(pk__in=webhook_ids)
    rows = found.select_for_update(skip_locked=skip_locked).order_by("pk")
    return {
        pk: _Account(
            retry.Standing(gate, closed_at, round_, lost), active, revision, since_success=n
        )
        for pk, gate, closed_at, round_, lost, active, revision, n in rows.values_list(
            "pk",
            "earliest_possible_trigger",
            "gate_closed_at",
            "round",
            "out_of_order",
            "active",
            "revision",
            "failure_since_last_success",
        )
    }


def _settle(call: Finished, account: _Account, now: datetime) -> retry.Decision:
    """Judge one call and change the webhook's backoff."""
    claimed = call.claimed
    decision = retry.decide(
        retry.Call(
            call.outcome,
            claimed.started_at,
            forced=claimed.forced,
            repeatable=claimed.webhook["type"] == EVENT,
            active=account.active,
            outdated=account.revision != claimed.webhook["revision"],
            altered=claimed.again is not None and claimed.again.altered,
        ),
        account.standing,
        now,
        conf.policy(),
    )
    account.standing = decision.standing
    return decision


def _count(call: Finished, account: _Account) -> None:
    """Count one attempt, whether it settles its delivery or comes late."""
    account.triggers += 1
    if call.outcome == retry.SUCCESS:
        account.successes += 1
        account.since_success = 0
    elif call.outcome == retry.FAILURE:
        account.failures += 1
        account.since_success += 1


def _write_deliveries(deliveries: dict[int, _Row], states: dict[int, str]) -> None:
    """Count the attempts of the deliveries, and end the claims of those that are settled."""
    groups: dict[tuple[str | None, int], list[int]] = {}
    for pk, row in deliveries.items():
        if row.added:
            groups.setdefault((states.get(pk), row.added), []).append(pk)
    for (state, added), pks in groups.items():
        changes: dict[str, Any] = {"attempts": F("attempts") + added}
        if state is not None:
            changes |= {"state": state, "claim": None, "lease": None, "forced": False}
        Delivery.objects.filter(pk__in=pks).update(**changes)


# Of a webhook's row in the statement below: its id and what is added or set.
_TYPES = (
    "varchar", *["bigint"] * 4, "timestamptz", "timestamptz", "bigint", "boolean", *["bigint"] * 2,
)  # fmt: skip


def _write_webhooks(accounts: dict[str, _Account], attempt_ids: Sequence[int]) -> None:
    """Write all accounts in one statement; null means "as it was" for the two pointers."""
    rows = [_row(pk, account, attempt_ids) for pk, account in sorted(accounts.items())]
    marks, params = sql.values(rows, _TYPES)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH v(id, t, s, f, since, gate, closed, round, lost, success, failure)
                AS (VALUES {marks})
            UPDATE webhooks_webhook SET
                triggers = triggers + v.t,
                success_triggers = success_triggers + v.s,
                failure_triggers = failure_triggers + v.f,
                failure_since_last_success = v.since,
                earliest_possible_trigger = v.gate,
                gate_closed_at = v.closed,
                round = v.round,
                out_of_order = v.lost,
                last_success_id = COALESCE(v.success, last_success_id),
                last_failure_id = COALESCE(v.failure, last_failure_id)
            FROM v WHERE webhooks_webhook.id = v.id
            """,
            params,
        )


def _row(pk: str, account: _Account, attempt_ids: Sequence[int]) -> tuple[Any, ...]:
    standing, last = account.standing, account.last
    return (
        pk,
        account.triggers,
        account.successes,
        account.failures,
        account.since_success,
        sql.moment(standing.gate),
        sql.moment(standing.gate_closed_at),
        standing.round,
        standing.out_of_order,
        attempt_ids[last[retry.SUCCESS]] if retry.SUCCESS in last else None,
        attempt_ids[last[retry.FAILURE]] if retry.FAILURE in last else None,
    )
