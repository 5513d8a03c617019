"""Deliveries that have been claimed before a test."""

from __future__ import annotations

from tests import make
from tests.engines import move_clock
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Delivery, Webhook


def failing(catalog: make.Catalog, waiting: int) -> Webhook:
    """Make a webhook whose backoff has just ended, with pending deliveries."""
    hook = make.webhook(catalog)
    make.order(catalog, waiting)
    claimed = claim.claim(100).claims
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claimed])
    move_clock(400)
    return hook


def expire_leases() -> None:
    """Let the leases of deliveries in flight end."""
    Delivery.objects.filter(state="calling").update(lease=1.0)
