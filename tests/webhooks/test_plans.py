"""Plans on SQLite: what happens with each delivery reads none that has ended, of which there may be
many. PostgreSQL chooses by its statistics."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from tests import make
from tests.planner import history_reads
from webhooks.delivery import claim, fan_out, wakeup
from webhooks.delivery.claim import Slots
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("used", [0, 36])
def test_claim_reads_pending_deliveries(hook: Webhook, used: int) -> None:
    fan_out.trigger(hook)  # otherwise those of Trigger now are not selected
    if connection.vendor == "sqlite":
        with CaptureQueriesContext(connection) as executed:
            claim.select(40, clock.now(), Slots(40, used))
        assert not history_reads(executed)


def test_event_of_a_webhook_in_backoff_reads_pending_deliveries(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog)
    until = clock.now() + timedelta(minutes=5)
    Webhook.objects.update(round=1, earliest_possible_trigger=until)
    if connection.vendor == "sqlite":
        with CaptureQueriesContext(connection) as executed:
            make.order(catalog)
        assert any("MAX(id)" in each["sql"] for each in executed)
        assert not history_reads(executed)


def test_next_poll_reads_pending_deliveries(hook: Webhook) -> None:
    if connection.vendor == "sqlite":
        with CaptureQueriesContext(connection) as executed:
            wakeup.next_due(clock.now())
        assert not history_reads(executed)
