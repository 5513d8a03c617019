"""A long move of the sandbox's clock: due jobs run at their own simulated times."""

from __future__ import annotations

from datetime import timedelta

import pytest

from requests_queue import clock
from requests_queue.catalog.models import Asset
from requests_queue.queues.billing import periods
from requests_queue.queues.billing.models import BillingRequest
from requests_queue.queues.fulfillment.models import Request
from tests.queue import builders
from tests.queue.platforms import Platform
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db


def test_due_jobs_run_at_their_own_times() -> None:
    platform = Platform()
    builders.set_up(platform)
    # Without webhooks the move has no requests to wait for.
    Webhook.objects.all().delete()
    asset = Asset.objects.get(pk=builders.subscription(platform))
    start = Request.objects.get(asset=asset).effective_date
    assert start is not None
    draft = builders.request(platform, "draft")
    planned = clock.shown(clock.now()) + timedelta(days=10, hours=3)
    pk = builders.create_order(platform, "purchase")
    body = {"planned_date": planned.isoformat()}
    platform.post("V", f"/requests/{pk}/schedule", body)
    response = platform.by["V"].post("/sandbox/clock/advance", {"by": "95d"})
    assert response.status == 200, response
    row = Request.objects.get(pk=pk)
    assert (row.status, row.updated, row.planned_date) == ("pending", planned, None)
    bills = list(BillingRequest.objects.order_by("pk"))
    months = [periods.add_months(start, n) for n in range(4)]
    assert [(b.period_from, b.period_to, b.created) for b in bills] == [
        (months[n], months[n + 1], months[n + 1]) for n in range(3)
    ]
    assert not Request.objects.filter(pk=draft).exists()
    assert not Event.objects.exists()
