"""Billing of subscriptions: created after activation, updated when the items change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery

from requests_queue import clock
from requests_queue.catalog.models import Asset
from requests_queue.queues.billing import periods
from requests_queue.queues.billing.models import SubscriptionBilling
from requests_queue.queues.fulfillment.models import Request

# Statuses of subscriptions that have been activated and not terminated.
BILLABLE = ("active", "suspended", "terminating")
_BATCH = 500


def update_billing(now: datetime) -> None:
    """Create or update the billing of each subscription that was activated or changed."""
    billable = Asset.objects.filter(status__in=BILLABLE).order_by("pk")
    changed = list(billable.exclude(billing__seen=F("updated")).values_list("pk", flat=True))
    for start in range(0, len(changed), _BATCH):
        rows = Asset.objects.filter(pk__in=changed[start : start + _BATCH])
        _update_batch(list(with_activation(rows).select_related("billing")), now)


def _update_batch(assets: list[Any], now: datetime) -> None:
    existing = [asset for asset in assets if hasattr(asset, "billing")]
    new = [asset for asset in assets if not hasattr(asset, "billing")]
    # Race: another process may have created the billing meanwhile.
    SubscriptionBilling.objects.bulk_create(
        [build(asset, now) for asset in new], ignore_conflicts=True
    )
    for asset in existing:
        _update(asset, asset.billing, now)


def with_activation(rows: QuerySet[Asset]) -> QuerySet[Any]:
    """Return the subscriptions with `activated`, the effective date of the approved purchase."""
    purchases = Request.objects.filter(asset=OuterRef("pk"), type="purchase", status="approved")
    return rows.annotate(activated=Subquery(purchases.order_by("pk").values("effective_date")[:1]))


def _update(asset: Asset, old: SubscriptionBilling, now: datetime) -> None:
    if old.next_date is not None and old.next_date <= now:
        # The period has ended and must be billed first.
        return
    changes: dict[str, datetime | str | None] = {"seen": _seen(asset, now)}
    uom = periods.common_period(asset.items)
    if uom != old.period_uom:
        changes |= _dates(old.started, uom, old.billed_to, max(now, old.billed_to))
    SubscriptionBilling.objects.filter(pk=asset.pk, seen=old.seen).update(**changes)


def _seen(asset: Asset, now: datetime) -> datetime:
    """Return until when the changes of a subscription have been processed.

    `updated` has whole seconds, so another change may follow within the current second.
    """
    second = clock.shown(now)
    return asset.updated if asset.updated < second else second - timedelta(seconds=1)


def build(asset: Any, now: datetime) -> SubscriptionBilling:
    """Return the unsaved billing of a subscription of `with_activation`.

    Periods that ended before `now` are not billed.
    """
    started = asset.activated or asset.created
    return SubscriptionBilling(
        asset=asset,
        started=started,
        anniversary_day=started.day,
        anniversary_month=started.month,
        seen=_seen(asset, now),
        **_dates(started, periods.common_period(asset.items), started, now),
    )


def period(row: SubscriptionBilling, start: datetime, end: datetime) -> dict[str, Any]:
    """Return the columns of a request for a period of a subscription."""
    return {
        "period_from": start,
        "period_to": end,
        "period_delta": row.period_delta,
        "period_uom": row.period_uom,
    }


def _dates(
    started: datetime, uom: str, billed_to: datetime, after: datetime
) -> dict[str, datetime | str | None]:
    """Return the unit, the next date, and the start of the period that ends on it."""
    columns: dict[str, datetime | str | None] = {
        "period_uom": uom,
        "next_date": None,
        "billed_to": billed_to,
    }
    boundary = periods.next_boundary(started, uom, after) if uom else None
    if boundary is None:
        return columns
    length = periods.MONTHS[uom]
    before = (
        periods.add_months(started, periods.months_between(started, boundary) - length) or billed_to
    )
    return columns | {"next_date": boundary, "billed_to": max(before, billed_to)}
