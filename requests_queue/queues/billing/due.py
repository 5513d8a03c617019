"""Scheduled work of billing: create the vendor's request when a subscription's period ends."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Min

from requests_queue import jobs
from requests_queue.catalog.models import Asset
from requests_queue.queues import transitions
from requests_queue.queues.billing import creation, periods, subscriptions
from requests_queue.queues.billing.models import VENDOR_TYPE, SubscriptionBilling
from requests_queue.signals import collect_next_due, due_reached


@due_reached.connect
def run(now: datetime, **kwargs: Any) -> None:
    """Create a billing request for each period that has ended."""
    ended = SubscriptionBilling.objects.filter(next_date__lte=now).order_by("next_date", "pk")
    try:
        jobs.run_each(list(ended.values_list("pk", flat=True)), partial(_bill_all, now=now))
    finally:
        # Afterwards: changed items change the periods from the next one on.
        subscriptions.update_billing(now)


def _bill_all(pk: str, now: datetime) -> None:
    while _bill(pk, now):
        pass


@collect_next_due.connect
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next period of an active subscription ends."""
    # Include subscriptions that were activated since the last run.
    subscriptions.update_billing(now)
    rows = SubscriptionBilling.objects.filter(next_date__gt=now, asset__status="active")
    result: datetime | None = rows.aggregate(at=Min("next_date"))["at"]
    return result


@transitions.atomic()
def _bill(pk: str, now: datetime) -> bool:
    """Bill the oldest ended period of a subscription; return whether there was one.

    The periods of a subscription that is not active pass without a request.
    """
    asset = (
        Asset.objects.select_for_update(of=("self",))
        .select_related("connection")
        .filter(pk=pk)
        .first()
    )
    row = SubscriptionBilling.objects.filter(pk=pk, next_date__lte=now).first()
    if asset is None or row is None or row.next_date is None:
        return False
    boundary = row.next_date
    following = None
    if asset.status in subscriptions.BILLABLE:
        following = periods.next_boundary(row.started, row.period_uom, boundary)
    # Race: only one of two concurrent runs updates the row.
    updated = SubscriptionBilling.objects.filter(pk=pk, next_date=boundary).update(
        billed_to=boundary, next_date=following
    )
    passed = periods.months_between(row.started, boundary)
    # An item may have a longer period than the subscription: due if its own ends here, too.
    due_items = [
        item for item in asset.items if (length := periods.months_of(item)) and passed % length == 0
    ]
    if updated and asset.status == "active" and due_items:
        period = subscriptions.period(row, row.billed_to, boundary)
        before = list(asset.billing_requests.filter(type=VENDOR_TYPE))
        request = creation.build(asset, VENDOR_TYPE, due_items, period, now, before)
        creation.add(request, len(before))
    return bool(updated)
