"""Lock the deliveries of one flush, and write their attempt counts and states.

Raw SQL, because the ORM takes several times the CPU time of these statements, and other deliveries
wait for the flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from requests_queue import sql
from webhooks.delivery import retry
from webhooks.delivery.in_flight import AttemptResult
from webhooks.models import Delivery


@dataclass(slots=True)
class DeliveryUpdate:
    """A locked row: its claim if an attempt is in flight, attempts, and lost workers in a row.

    `due_at` is the delivery's new due date, if it is settled.
    """

    claim: Any
    attempts: int
    losses: int
    added: int = 0
    due_at: datetime | None = None

    def next_number(self) -> int:
        """Return the number of the next attempt that is recorded."""
        self.added += 1
        return self.attempts + self.added

    def count_loss(self, result: AttemptResult, *, outdated: bool) -> int:
        """Count the lost workers in a row, and return the count that the retry decision uses.

        An orderly stop is neither counted nor does it reset the count; an edit of the webhook since
        the attempt's start does.
        """
        if outdated or result.outcome != retry.UNKNOWN:
            self.losses = 0
        elif result.is_lost:
            self.losses += 1
        return self.losses if result.is_lost else 0


def lock(delivery_ids: Iterable[int], *, skip_locked: bool = False) -> dict[int, DeliveryUpdate]:
    """Lock the deliveries in order of their ids; deleted or skipped ones are missing."""
    ids = sorted(delivery_ids)
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT id, state, claim, attempts, losses FROM webhooks_delivery
            WHERE id IN ({sql.integers(ids)}) ORDER BY id
            {sql.for_update(skip_locked=skip_locked)}
            """
        )
        return {
            pk: DeliveryUpdate(
                sql.uuid_value(claim) if state == Delivery.CALLING else None, attempts, losses
            )
            for pk, state, claim, attempts, losses in cursor.fetchall()
        }


def write(deliveries: Mapping[int, DeliveryUpdate], states: Mapping[int, str]) -> None:
    """Write the attempt counts of the deliveries, and end the claims of the settled ones."""
    groups: dict[tuple[str | None, int, int, datetime | None], list[int]] = {}
    for pk, row in deliveries.items():
        if row.added:
            key = (states.get(pk), row.added, row.losses, row.due_at)
            groups.setdefault(key, []).append(pk)
    with connection.cursor() as cursor:
        for (state, added, losses, due_at), pks in groups.items():
            settled = ", state = %s, claim = NULL, lease = NULL, forced = false, due_at = %s"
            cursor.execute(
                f"""
                UPDATE webhooks_delivery SET attempts = attempts + %s, losses = %s
                {"" if state is None else settled} WHERE id IN ({sql.integers(pks)})
                """,
                [added, losses, *([] if state is None else [state, sql.datetime_param(due_at)])],
            )
