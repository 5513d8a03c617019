"""Concurrent changes of billing, and decisions about tier accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from requests_queue.queues.billing import due
from requests_queue.queues.billing.models import BillingRequest, SubscriptionBilling
from requests_queue.queues.tier_account.models import TierAccountRequest
from tests import make
from tests.api import caller
from tests.background import concurrently
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

START, END = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 4, 10, tzinfo=UTC)
TOGETHER = 6


def subscribed() -> make.Catalog:
    catalog = make.catalog(capabilities={"tiers": {"updates": True}})
    item = {
        "id": "SEAT",
        "global_id": catalog.item.id,
        "mpn": "M-SEAT",
        "display_name": "Seat",
        "item_type": "Reservation",
        "period": "Monthly",
        "type": "Users",
        "quantity": "5",
    }
    make.asset(catalog, items=[item], created=START, updated=START)
    for n, name in enumerate(("billing_request", "tier_account_request"), 1):
        make.webhook(catalog, n=n, object_class=name)
    return catalog


def test_concurrent_schedulers_bill_each_period_once() -> None:
    subscribed()
    due.run(START)
    concurrently(*[lambda: due.run(END)] * TOGETHER)
    assert sorted(BillingRequest.objects.values_list("pk", flat=True)) == [
        f"BRV-0000-0000-0001-000{n}" for n in (1, 2, 3)
    ]
    assert Webhook.objects.get(object_class="billing_request").events == 3


def test_concurrent_schedulers_create_a_billing_once() -> None:
    subscribed()
    concurrently(*[lambda: due.run(START)] * TOGETHER)
    assert SubscriptionBilling.objects.count() == 1


def test_concurrent_requests_get_different_numbers() -> None:
    catalog = subscribed()
    callers = [caller(catalog.provider) for _ in range(TOGETHER)]
    body = {
        "asset": {"id": "AS-0000-0000-0001"},
        "items": [{"id": "SEAT"}],
        "period": {"from": "2026-01-01", "to": "2026-02-01", "delta": 1, "uom": "monthly"},
    }
    responses = concurrently(
        *[lambda caller=caller: caller.post("/subscriptions/requests", body) for caller in callers]
    )
    assert [a.status for a in responses] == [201] * TOGETHER
    assert len({a.json["id"] for a in responses}) == TOGETHER


def test_concurrent_writes_keep_attributes_of_both_parties() -> None:
    catalog = subscribed()
    due.run(START)
    due.run(datetime(2026, 2, 10, tzinfo=UTC))
    path = "/subscriptions/requests/BRV-0000-0000-0001-0001/attributes"
    vendor, distributor = caller(catalog.vendor), caller(catalog.provider)
    concurrently(
        lambda: vendor.put(path, {"vendor": {"a": 1}}),
        lambda: distributor.put(path, {"provider": {"b": 2}}),
    )
    assert BillingRequest.objects.get().attributes == {"vendor": {"a": 1}, "provider": {"b": 2}}
    assert Webhook.objects.get(object_class="billing_request").events == 3


def test_only_one_of_two_concurrent_decisions_counts() -> None:
    catalog = subscribed()
    caller(catalog.provider).put("/tier/accounts/TA-0000-0000-0001", {"tax_id": "1"})
    pk = TierAccountRequest.objects.get().pk
    vendors = [caller(catalog.vendor) for _ in range(2)]
    responses = concurrently(
        lambda: vendors[0].post(f"/tier/account-requests/{pk}/accept"),
        lambda: vendors[1].post(f"/tier/account-requests/{pk}/ignore", {"reason": "x"}),
    )
    assert sorted(a.status for a in responses) == [200, 400]
    assert Webhook.objects.get(object_class="tier_account_request").events == 2
