"""A platform whose time is frozen until the test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from requests_queue import clock
from requests_queue.models import Clock
from tests import make
from webhooks.models import Webhook

START = make.AT + timedelta(days=9)


@pytest.fixture
def catalog(db: None) -> make.Catalog:
    """Return a platform with frozen time."""
    Clock.objects.update_or_create(pk=1, defaults={"frozen_at": START})
    return make.catalog()


@pytest.fixture
def ordered_hook(catalog: make.Catalog, hook: Webhook) -> Webhook:
    """Return a webhook with the delivery of an order."""
    make.order(catalog)
    return hook


def advance(seconds: float) -> datetime:
    """Move time, and return the new one."""
    now = clock.now() + timedelta(seconds=seconds)
    Clock.objects.update(frozen_at=now)
    return now
