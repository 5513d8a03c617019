"""An engine records heartbeats while it runs, and deletes its own when it stops."""

from __future__ import annotations

import threading

import pytest

from requests_queue import heartbeats
from requests_queue.heartbeats import Problems
from tests import make
from webhooks.delivery import engine
from webhooks.delivery.engine import Poll, Poller, Window
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_claimed_requests_do_not_wait_for_the_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[int] = []
    monkeypatch.setattr(heartbeats, "record", lambda *args, **more: recorded.append(1))
    poller = Poller(Window(), Problems(), 10, threading.Event())
    hook = make.webhook(make.catalog())

    def poll() -> tuple[int, int]:
        """Create a delivery and poll; return how many are claimed, and heartbeats recorded."""
        recorded.clear()
        Delivery.objects.create(webhook=hook, created_at=make.AT)
        return len(poller.poll(Poll()).claims), len(recorded)

    monkeypatch.setattr(engine, "TICK", 0.0)
    assert poll() == (1, 1)
    # Due since the last poll, and late only after a minute.
    monkeypatch.setattr(engine, "TICK", 60.0)
    assert poll() == (1, 0)
    poller.poll(Poll())
    assert len(recorded) == 1
    # A claim in each poll does not prevent it.
    monkeypatch.setattr(engine, "TICK", -60.0)
    assert poll() == (1, 1)
