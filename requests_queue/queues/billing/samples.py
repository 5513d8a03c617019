"""Sample billing requests: the current period of a subscription, by vendor or provider.

Also the previews of them.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from requests_queue import clock
from requests_queue.api.resources import format_datetime
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset, Product
from requests_queue.errors import Refused
from requests_queue.queues import sampling
from requests_queue.queues.billing import creation, periods
from requests_queue.queues.billing.models import VENDOR_TYPE, BillingRequest
from requests_queue.queues.billing.subscriptions import BILLABLE, update_billing
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest


def create_sample(
    kind: str, product: Product | None, account: Account | None = None
) -> BillingRequest:
    """Bill the current period of a subscription of a product (None: any); return the request.

    Raises Refused where no subscription is billed by the period.
    """
    asset = sampling.of_product(billable(account), product).first()
    if asset is None:
        of = f"product {product.pk}" if product else "any product"
        message = f"No subscription of {of} is billed by the period. Order one first."
        raise Refused("REQ_003", message)
    return creation.create(request_body(kind, asset), Actor(None, biller(kind, asset)))


def billable(account: Account | None) -> QuerySet[Asset]:
    """Return the subscriptions of an account that are billed by the period, active ones first."""
    update_billing(clock.now())
    rows = Asset.objects.select_related(
        "billing", "product", "customer", "connection__vendor", "connection__provider"
    )
    rows = rows.filter(status__in=BILLABLE, **visibility.party(account, "connection__"))
    return rows.exclude(billing__next_date=None).order_by("status", "pk")


def biller(kind: str, asset: Asset) -> Account:
    """Return the account that bills by requests of a type."""
    return asset.connection.vendor if kind == VENDOR_TYPE else asset.connection.provider


def request_body(kind: str, asset: Asset) -> dict[str, Any]:
    """Return the body that bills the current period of a subscription."""
    billing = asset.billing
    reference = {"reference": f"{asset.pk}/{billing.next_date:%Y-%m}"}
    return {
        "type": kind,
        "asset": {"id": asset.pk},
        "items": [{"id": i["global_id"]} for i in asset.items if periods.months_of(i)],
        "period": {
            "from": format_datetime(billing.billed_to),
            "to": format_datetime(billing.next_date),
            "delta": billing.period_delta,
            "uom": billing.period_uom,
        },
        "attributes": {biller(kind, asset).type: reference},
    }


# Subscriptions that a preview offers at most.
OFFERED = 50


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /subscriptions/requests`; raises Refused."""
    assets = list(sampling.of_product(billable(request.account), request.product)[:OFFERED])
    if not assets:
        raise Refused("REQ_003", "No subscription is billed by the period. Order one first.")
    asset = sampling.chosen(assets, request.about)
    account = biller(request.kind, asset)
    entries = (
        PreviewField("period.from", "From", "Period", required=True),
        PreviewField("period.to", "To", "Period", required=True),
        PreviewField(f"attributes.{account.type}.reference", "Reference", "Attributes"),
    )
    return Preview(
        request_body(request.kind, asset),
        Actor(None, account),
        asset.product,
        entries,
        about_label="Subscription",
        about=tuple((row.pk, f"{row.customer.name} · {row.product.name}") for row in assets),
        chosen=asset.pk,
    )
