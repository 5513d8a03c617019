"""Deliveries to a real handler by a real engine, for tests of faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engines import until
from webhooks.delivery import fan_out
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery, Webhook


def recorded(count: int) -> bool:
    """Return whether so many attempts are recorded, and no request is in flight."""
    is_busy = Delivery.objects.filter(state="calling").exists()
    return Attempt.objects.count() >= count and not is_busy


Deliver = Callable[..., Attempt]


@pytest.fixture
def deliver(engine: Engine, hook: Webhook) -> Deliver:
    """Trigger the webhook, and return the next attempt that is recorded."""

    def one(webhook: Webhook = hook) -> Attempt:
        count = Attempt.objects.count() + 1
        fan_out.trigger(webhook)
        engine.wake()
        until(lambda: recorded(count), "an attempt is recorded")
        return Attempt.objects.latest("pk")

    return one


def marks(fault: dict[str, Any]) -> list[dict[str, str]]:
    return [{"name": fault["name"], "kind": fault["kind"]}]
