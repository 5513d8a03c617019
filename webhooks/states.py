"""Outcomes of attempts, states of deliveries, and the backoff of a webhook. No ORM, no Django.

What the models store and the retry decision (`webhooks.delivery.retry`) computes with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# Outcomes of an attempt.
OUTCOMES = SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
# States of a delivery, and how pages name them; the API and searches have the states themselves.
STATE_LABELS = {
    "waiting": "Pending",
    "calling": "In flight",
    "delivered": "Delivered",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
# `calling` is set by a claim.
STATES = WAITING, CALLING, DELIVERED, FAILED, CANCELLED = tuple(STATE_LABELS)
# What ends a backoff, in addition to the users' actions in `webhooks.actions`.
TRIGGERED, SUCCEEDED = "triggered", "succeeded"


@dataclass(frozen=True, slots=True)
class Policy:
    """The backoff settings: seconds, a factor, and a number of failures."""

    base: float
    factor: float
    cap: float
    limit: int

    def delay(self, failures: int) -> timedelta:
        """Return how long the backoff lasts after this many failures in a row (from 1)."""
        try:
            seconds = min(self.cap, self.base * self.factor ** (failures - 1))
        except OverflowError:
            seconds = self.cap
        return timedelta(seconds=seconds)

    def failed(self, failures: int) -> str:
        """Return the reason of a next attempt after this many failures in a row."""
        return f"Failed ({failures} of {self.limit})."


# The columns of a webhook that have its backoff, in the order of the fields of BackoffState.
BACKOFF_COLUMNS = ("earliest_possible_trigger", "gate_closed_at", "round", "out_of_order")


@dataclass(frozen=True, slots=True)
class BackoffState:
    """The backoff of a webhook; all fields have their defaults if it is healthy.

    No request starts before `until`, except by Trigger now. `until` stays set after that moment
    until a success; meanwhile only one delivery is sent at a time. `began_at`, the time of the
    last counted failure, identifies the backoff.
    """

    until: datetime | None = None
    began_at: datetime | None = None
    failures: int = 0
    out_of_order: bool = False
