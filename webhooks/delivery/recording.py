"""Record finished attempts: the attempts, their deliveries and their webhooks in one transaction.

Only an attempt whose claim still holds settles its delivery and moves the backoff. One that comes
late, because another worker has taken over its delivery, is recorded and counted all the same.
Counters change in the transaction that records the attempts, in order of completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from requests_queue import clock
from webhooks.delivery import attempts, retry, sql, webhook_update
from webhooks.delivery.calls import Finished
from webhooks.delivery.coalescing import merge_waiting
from webhooks.delivery.webhook_update import WebhookUpdate
from webhooks.models import Attempt, Delivery, Webhook

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
    """A locked delivery: its claim while an attempt is in flight, its count of attempts, and how
    many of the latest in a row have lost their worker."""

    claim: Any
    attempts: int
    losses: int
    added: int = 0

    def next_number(self) -> int:
        """Return the number of the next attempt that is recorded."""
        self.added += 1
        return self.attempts + self.added

    def lose(self, call: Finished) -> int:
        """Count the workers lost in a row, and return the count that the attempt is judged by.

        An orderly stop neither counts nor ends the row.
        """
        if call.outcome != retry.UNKNOWN:
            self.losses = 0
        elif not call.stopped:
            self.losses += 1
        return 0 if call.stopped else self.losses


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
        updates = webhook_update.lock(
            {f.claimed.webhook["id"] for f in counted}, skip_locked=skip_locked
        )
        found = _without_webhook(finished, found, updates)
        # Read with the webhooks locked, so that what is recorded of one has the order of its times.
        now = clock.now()
        rows, states = _apply(finished, found, deliveries, updates, now)
        if not rows:
            return found
        attempt_ids = attempts.insert(rows)
        _write_deliveries(deliveries, states)
        webhook_update.write(updates, attempt_ids, now)
        if settings.SIM_EVENT_MODE == "coalesce":
            merge_waiting([pk for pk, state in states.items() if state == Delivery.WAITING])
    return found


def _without_webhook(
    finished: Sequence[Finished], found: Sequence[Recorded], updates: dict[str, WebhookUpdate]
) -> list[Recorded]:
    """Return what is to be done with each attempt, now that the webhooks are locked."""
    missing = {
        call.claimed.webhook["id"]
        for call, kind in zip(finished, found, strict=True)
        if kind in _COUNTED
    } - updates.keys()
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
    updates: dict[str, WebhookUpdate],
    now: datetime,
) -> tuple[list[attempts.Row], dict[int, str]]:
    """Apply the attempts to their webhooks, in order; return their rows and deliveries' states."""
    rows: list[attempts.Row] = []
    states: dict[int, str] = {}
    for call, kind in zip(finished, found, strict=True):
        if kind not in _COUNTED:
            continue
        pk, update = call.claimed.delivery_id, updates[call.claimed.webhook["id"]]
        delivery, why, next_attempt_at = deliveries[pk], _LATE, None
        if kind == Recorded.SETTLED:
            decision = update.settle(call, len(rows), delivery.lose(call), now)
            states[pk], why = decision.state, call.note or decision.why
            next_attempt_at = decision.next_attempt_at
        update.count(call, len(rows))
        rows.append(attempts.row(call, delivery.next_number(), why, now, next_attempt_at))
    return rows, states


def _lock_deliveries(finished: Sequence[Finished], skip_locked: bool) -> dict[int, _Row]:
    rows = Delivery.objects.filter(pk__in={f.claimed.delivery_id for f in finished})
    locked = rows.select_for_update(skip_locked=skip_locked).order_by("pk")
    return {
        pk: _Row(claim if state == Delivery.CALLING else None, count, losses)
        for pk, state, claim, count, losses in locked.values_list(
            "pk", "state", "claim", "attempts", "losses"
        )
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


def _write_deliveries(deliveries: dict[int, _Row], states: dict[int, str]) -> None:
    """Count the attempts of the deliveries, and end the claims of those that are settled."""
    groups: dict[tuple[str | None, int, int], list[int]] = {}
    for pk, row in deliveries.items():
        if row.added:
            groups.setdefault((states.get(pk), row.added, row.losses), []).append(pk)
    for (state, added, losses), pks in groups.items():
        changes: dict[str, Any] = {"attempts": F("attempts") + added, "losses": losses}
        if state is not None:
            changes |= {"state": state, "claim": None, "lease": None, "forced": False}
        Delivery.objects.filter(pk__in=pks).update(**changes)
