"""Deliveries that are claimed and end without HTTP, and the counters of their webhooks."""

from __future__ import annotations

from tests import make
from tests.engines import move_clock
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Delivery, Webhook


def finish(outcome: str = states.SUCCESS) -> list[Claim]:
    """Claim what is due, and record this outcome of the attempts; return the claims."""
    claimed = claim.claim(100).claims
    assert set(record.record([AttemptResult(c, outcome, 1) for c in claimed])) <= {"settled"}
    return claimed


def failing(catalog: make.Catalog, waiting: int, url: str = "http://127.0.0.1:9/") -> Webhook:
    """Make a webhook whose backoff has just ended, with pending deliveries."""
    hook = make.webhook(catalog, url)
    make.order(catalog, waiting)
    finish(states.FAILURE)
    move_clock(400)
    return hook


def expire_leases() -> None:
    """Let the leases of deliveries in flight end."""
    Delivery.objects.filter(state="calling").update(lease=1.0)


def counted(hook: Webhook) -> tuple[int, int, int, int, int]:
    """Return events, triggers, successes, failures, failures since the last success."""
    hook.refresh_from_db()
    return (
        hook.events,
        hook.triggers,
        hook.success_triggers,
        hook.failure_triggers,
        hook.failure_since_last_success,
    )
