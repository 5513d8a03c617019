"""What happens to billing by itself: a subscription's period is over, and the vendor's request
for it is made."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Min
from django.dispatch import receiver

from requests_queue import jobs, transitions
from requests_queue.catalog.models import Asset
from requests_queue.queues.billing import creation, periods, subscriptions
from requests_queue.queues.billing.models import VENDOR_TYPE, SubscriptionBilling
from requests_queue.queues.billing.parsing import Items, Period
from requests_queue.signals import collect_next_due, due_reached


@receiver(due_reached)
def run(now: datetime, **kwargs: Any) -> None:
    """Bill each period that is over, one request for each."""
    over = SubscriptionBilling.objects.filter(next_date__lte=now).order_by("next_date", "pk")
    try:
        jobs.run_each(list(over.values_list("pk", flat=True)), partial(_bill_all, now=now))
    finally:
        # Behind it: what a changed order makes of the periods begins with the next one.
        subscriptions.follow(now)


def _bill_all(pk: str, now: datetime) -> None:
    while _bill(pk, now):
        pass


@receiver(collect_next_due)
def next_due(now: datetime, **kwargs: Any) -> datetime | None:
    """Return when the next period of an active subscription is over."""
    # One that has just been activated has its first period to come, within the same move.
    subscriptions.follow(now)
    rows = SubscriptionBilling.objects.filter(next_date__gt=now, asset__status="active")
    found: datetime | None = rows.aggregate(at=Min("next_date"))["at"]
    return found


@transitions.atomic()
def _bill(pk: str, now: datetime) -> bool:
    """Bill the period of a subscription that is over; return whether there was one.

    Periods of one that isn't active now pass unbilled.
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
    ends = asset.status not in subscriptions.BILLABLE
    after = None if ends else periods.following(row.started, row.period_uom, boundary)
    # Of two that come at the same time, one bills.
    won = SubscriptionBilling.objects.filter(pk=pk, next_date=boundary).update(
        billed_to=boundary, next_date=after
    )
    billed = _due(row, asset, boundary)
    if won and asset.status == "active" and billed:
        period = Period(row.billed_to, boundary, row.period_delta, row.period_uom)
        before = list(asset.billing_requests.filter(type=VENDOR_TYPE))
        transitions.add(creation.build(asset, VENDOR_TYPE, billed, period, now, before))
    return bool(won)


def _due(row: SubscriptionBilling, asset: Asset, boundary: datetime) -> Items:
    """Return the items whose own period is over on a boundary of the subscription's."""
    passed = periods.between(row.started, boundary)
    return [
        item for item in asset.items if (length := periods.months_of(item)) and passed % length == 0
    ]
