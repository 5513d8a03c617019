"""An attempt becomes statistics: finished calls, written in one transaction (`record`).

Only calls whose claim still holds are written, so a late worker can't overwrite a newer truth.
Counters change in the transaction that records the attempts, in order of completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F

from requests_queue import clock
from webhooks import attempts, conf, retry, sql
from webhooks.calls import Finished
from webhooks.merging import merge_waiting
from webhooks.models import Delivery, Webhook
from webhooks.types import EVENT


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


def record(finished: Sequence[Finished]) -> int:
    """Write the attempts, their deliveries and their webhooks; return how many held their claim."""
    with transaction.atomic():
        now = clock.now()
        held = _held(finished)
        accounts = _lock({f.claimed.webhook["id"] for f in held})
        held = [f for f in held if f.claimed.webhook["id"] in accounts]
        if not held:
            return 0
        rows: list[attempts.Row] = []
        states = {}
        for call in held:
            account = accounts[call.claimed.webhook["id"]]
            decision = _settle(call, account, now)
            account.last[call.outcome] = len(rows)
            rows.append(attempts.row(call, call.note or decision.why, now))
            states[call.claimed.delivery_id] = decision.state
        attempt_ids = attempts.insert(rows)
        _write_deliveries(states)
        _write_webhooks(accounts, attempt_ids)
        if settings.SIM_EVENT_MODE == "coalesce":
            merge_waiting([pk for pk, state in states.items() if state == Delivery.WAITING])
    return len(held)


def _held(finished: Sequence[Finished]) -> list[Finished]:
    """Lock the deliveries and return the calls that still have their claim."""
    rows = (
        Delivery.objects.filter(
            pk__in=[f.claimed.delivery_id for f in finished], state=Delivery.CALLING
        )
        .select_for_update()
        .order_by("pk")
    )
    claims = dict(rows.values_list("pk", "claim"))
    return [f for f in finished if claims.get(f.claimed.delivery_id) == f.claimed.claim]


def _lock(webhook_ids: set[str]) -> dict[str, _Account]:
    rows = Webhook.objects.filter(pk__in=webhook_ids).select_for_update().order_by("pk")
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
    """Judge one call and change the webhook's account."""
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
    account.triggers += 1
    if call.outcome == retry.SUCCESS:
        account.successes += 1
        account.since_success = 0
    elif call.outcome == retry.FAILURE:
        account.failures += 1
        account.since_success += 1
    return decision


def _write_deliveries(states: dict[int, str]) -> None:
    for state in set(states.values()):
        Delivery.objects.filter(pk__in=[pk for pk, s in states.items() if s == state]).update(
            state=state, claim=None, lease=None, forced=False, attempts=F("attempts") + 1
        )


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


def write(finished: list[Finished]) -> list[Finished]:
    """Record the calls; return those that must be tried again.

    What fails together is repeated row by row, and a row that fails alone becomes a failure.
    """
    try:
        record(finished)
        return []
    except DatabaseError:
        connection.close_if_unusable_or_obsolete()
    for at, call in enumerate(finished):
        try:
            record([call])
        except DatabaseError:
            try:
                record([_as_failure(call)])
            except DatabaseError:
                return finished[at:]
    return []


def _as_failure(call: Finished) -> Finished:
    """Return a call whose row can't be written, as a failure that can."""
    return Finished(
        call.claimed,
        retry.FAILURE,
        call.duration,
        error="What the handler answered could not be stored; it counts as a failure.",
    )
