"""The times of the next attempts of a webhook if every one fails. No ORM, no Django."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from webhooks.delivery.retry import AttemptSummary, decide
from webhooks.states import FAILURE, BackoffState, Policy

MAX_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """An attempt, and whether its failure makes the webhook out of order.

    `number` is the attempt's of its delivery, `reason` why it is at that time.
    """

    number: int
    at: datetime
    reason: str
    out_of_order: bool


def forecast(
    backoff: BackoffState, policy: Policy, now: datetime, *, attempts: int = 0, reason: str = ""
) -> list[Row]:
    """Return the attempts until the webhook is out of order, at most MAX_ROWS.

    `attempts` are those that the delivery has made; `reason` is that of the next one.
    """
    rows: list[Row] = []
    while not backoff.out_of_order and len(rows) < MAX_ROWS:
        at = max(backoff.until or now, now)
        summary = AttemptSummary(FAILURE, started_at=at, backoff_began_at=backoff.began_at)
        decision = decide(summary, backoff, at, policy)
        is_last = decision.backoff.out_of_order
        rows.append(Row(attempts + len(rows) + 1, at, reason, is_last))
        backoff, reason = decision.backoff, decision.why
    return rows
