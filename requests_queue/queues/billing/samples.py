"""A realistic billing request: the last period of an active subscription, by either side."""

from __future__ import annotations

from requests_queue import clock
from requests_queue.catalog.models import Account, Asset, Product
from requests_queue.catalog.views import seen
from requests_queue.errors import Refused
from requests_queue.queues.base import Actor
from requests_queue.queues.billing import births, periods
from requests_queue.queues.billing.models import VENDOR_TYPE, BillingRequest
from requests_queue.queues.billing.subscriptions import BILLABLE, follow
from requests_queue.rest import stamp


def make(kind: str, product: Product | None, account: Account | None = None) -> BillingRequest:
    """Bill the current period of a subscription of the product, or of any, and return that.

    Raises Refused where no subscription is billed by the period.
    """
    follow(clock.now())
    assets = (
        Asset.objects.select_related("billing", "connection__vendor", "connection__provider")
        .filter(status__in=BILLABLE, **seen.party(account, "connection__"))
        .exclude(billing__next_date=None)
    )
    if product is not None:
        assets = assets.filter(product=product)
    asset = assets.order_by("status", "pk").first()
    if asset is None:
        of = f"product {product.pk}" if product else "any product"
        raise Refused("REQ_003", f"No subscription of {of} is billed by the period: order one.")
    connection = asset.connection
    side = connection.vendor if kind == VENDOR_TYPE else connection.provider
    billing = asset.billing
    return births.create(
        {
            "type": kind,
            "asset": {"id": asset.pk},
            "items": [{"id": i["global_id"]} for i in asset.items if periods.months_of(i)],
            "period": {
                "from": stamp(billing.billed_to),
                "to": stamp(billing.next_date),
                "delta": billing.period_delta,
                "uom": billing.period_uom,
            },
            "attributes": {side.type: {"reference": f"{asset.pk}/{billing.next_date:%Y-%m}"}},
        },
        Actor(None, side),
    )
