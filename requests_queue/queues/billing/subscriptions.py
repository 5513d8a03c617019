"""What a subscription's billing is: made when it has been activated, and kept to its items."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery

from requests_queue import clock
from requests_queue.catalog.models import Asset
from requests_queue.queues.billing import periods
from requests_queue.queues.billing.models import SubscriptionBilling
from requests_queue.queues.fulfillment.models import Request

# Not yet activated, or over.
BILLABLE = ("active", "suspended", "terminating")
_AT_ONCE = 500


def follow(now: datetime) -> None:
    """Make or mend the billing of each subscription that was activated or changed."""
    billable = Asset.objects.filter(status__in=BILLABLE).order_by("pk")
    unseen = list(billable.exclude(billing__seen=F("updated")).values_list("pk", flat=True))
    for start in range(0, len(unseen), _AT_ONCE):
        rows = Asset.objects.filter(pk__in=unseen[start : start + _AT_ONCE])
        _follow(list(with_activation(rows).select_related("billing")), now)


def _follow(rows: list[Any], now: datetime) -> None:
    fresh = [asset for asset in rows if not hasattr(asset, "billing")]
    # Of two processes that see one first, one makes its billing.
    SubscriptionBilling.objects.bulk_create(
        [build(asset, now) for asset in fresh], ignore_conflicts=True
    )
    known = {asset.pk for asset in fresh}
    for asset in rows:
        # `build` has linked the fresh ones to theirs.
        if asset.pk not in known:
            _mend(asset, asset.billing, now)


def with_activation(rows: QuerySet[Asset]) -> QuerySet[Any]:
    """Return the subscriptions with `activated`: since when the approved purchase is in effect."""
    purchases = Request.objects.filter(asset=OuterRef("pk"), type="purchase", status="approved")
    return rows.annotate(activated=Subquery(purchases.order_by("pk").values("effective_date")[:1]))


def _mend(asset: Asset, old: SubscriptionBilling, now: datetime) -> None:
    if old.next_date is not None and old.next_date <= now:
        # Its period is over, and is billed before another one begins.
        return
    changes: dict[str, datetime | str | None] = {"seen": _seen(asset, now)}
    uom = periods.common(asset.items)
    if uom != old.period_uom:
        changes |= _dates(old.started, uom, old.billed_to, max(now, old.billed_to))
    SubscriptionBilling.objects.filter(pk=asset.pk, seen=old.seen).update(**changes)


def _seen(asset: Asset, now: datetime) -> datetime:
    """Return until when the changes of a subscription have been looked at.

    `updated` has whole seconds: until this one is over, another change may come.
    """
    second = clock.shown(now)
    return asset.updated if asset.updated < second else second - timedelta(seconds=1)


def build(asset: Any, now: datetime) -> SubscriptionBilling:
    """Return the billing of a subscription (of `with_activation`), not saved; what lies before
    `now` is not billed."""
    started = asset.activated or asset.created
    return SubscriptionBilling(
        asset=asset,
        started=started,
        anniversary_day=started.day,
        anniversary_month=started.month,
        seen=_seen(asset, now),
        **_dates(started, periods.common(asset.items), started, now),
    )


def _dates(
    started: datetime, uom: str, billed_to: datetime, after: datetime
) -> dict[str, datetime | str | None]:
    """Return unit, next date, and from when the period that ends on it is to be billed."""
    found: dict[str, datetime | str | None] = {
        "period_uom": uom, "next_date": None, "billed_to": billed_to,
    }  # fmt: skip
    boundary = periods.following(started, uom, after) if uom else None
    if boundary is None:
        return found
    length = periods.MONTHS[uom]
    before = periods.add(started, periods.between(started, boundary) - length) or billed_to
    return found | {"next_date": boundary, "billed_to": max(before, billed_to)}
