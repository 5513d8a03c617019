"""Sample tier account requests: the change of a customer's address."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset, Product, TierAccount
from requests_queue.errors import Refused
from requests_queue.queues.tier_account import creation
from requests_queue.queues.tier_account.models import TierAccountRequest


def create_sample(
    kind: str, product: Product | None, account: Account | None = None
) -> TierAccountRequest:
    """Change the customer of a subscription, and return the request for its product.

    Prefers a product whose vendor accepts or ignores such changes. Raises Refused where there is
    no customer to change.
    """
    assets = with_customers(account)
    if product is not None:
        assets = assets.filter(product=product)
    chosen: Asset | None = None
    for asset in assets.order_by("pk")[:100]:
        chosen = chosen or asset
        if asset.product.capability(creation.CAPABILITY):
            chosen = asset
            break
    if chosen is None:
        of = f"product {product.pk}" if product else "any product"
        raise Refused("TAR_003", f"There is no customer of {of}. Order a subscription first.")
    rows = creation.create(update_body(chosen.customer), Actor(None, chosen.customer.owner))
    return next(row for row in rows if row.product_id == chosen.product_id)


def with_customers(account: Account | None) -> QuerySet[Asset]:
    """Return the subscriptions of an account whose customers can be changed."""
    return Asset.objects.select_related("product", "customer__owner").filter(
        status__in=("active", "processing", "suspended"),
        customer__decommissioned=None,
        **visibility.party(account, "connection__"),
    )


def update_body(customer: TierAccount) -> dict[str, Any]:
    """Return the body that changes the second line of a customer's address."""
    line = f"Suite {100 + customer.version}"
    return {
        "type": "update",
        "account": {"id": customer.pk, "contact_info": {"address_line2": line}},
    }
