"""Sample tier account requests, which change a customer's address, and previews of them."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset, Product, TierAccount
from requests_queue.errors import Refused
from requests_queue.queues import sampling
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest
from requests_queue.queues.tier_account import creation
from requests_queue.queues.tier_account.models import TierAccountRequest


def create_sample(
    kind: str, product: Product | None, account: Account | None = None
) -> TierAccountRequest:
    """Change the customer of a subscription, and return the request for its product.

    Prefers a product whose vendor accepts or ignores such changes. Raises Refused where there is
    no customer to change.
    """
    assets = _with_customers(account, product)
    if not assets:
        of = f"product {product.pk}" if product else "any product"
        raise Refused("TAR_003", f"There is no customer of {of}. Order a subscription first.")
    customer = assets[0].customer
    rows = creation.create(_update_body(customer), Actor(None, customer.owner))
    return next(row for row in rows if row.product_id == assets[0].product_id)


def _with_customers(account: Account | None, product: Product | None) -> list[Asset]:
    """Return subscriptions of an account whose customers can be changed.

    Those of products whose vendor accepts or ignores changes come first.
    """
    rows = Asset.objects.select_related("product", "customer__owner").filter(
        status__in=("active", "processing", "suspended"),
        customer__decommissioned=None,
        **visibility.party(account, "connection__"),
    )
    first = sampling.of_product(rows, product).order_by("pk")[:EXAMINED]
    return sorted(first, key=lambda row: not row.product.capability(creation.CAPABILITY))


def _update_body(customer: TierAccount) -> dict[str, Any]:
    """Return the body that changes the second line of a customer's address."""
    line = f"Suite {100 + customer.version}"
    return {
        "type": "update",
        "account": {"id": customer.pk, "contact_info": {"address_line2": line}},
    }


# Subscriptions that are examined at most.
EXAMINED = 100
_CONTACT = (
    ("address_line1", "Address"),
    ("address_line2", "Address, second line"),
    ("city", "City"),
    ("postal_code", "Postal code"),
    ("country", "Country"),
    ("contact.first_name", "First name"),
    ("contact.last_name", "Last name"),
    ("contact.email", "Email"),
)


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /tier/account-requests`; raises Refused."""
    assets = _with_customers(request.account, request.product)
    by_customer = {row.customer_id: row for row in reversed(assets)}
    if not assets:
        raise Refused("TAR_003", "There is no customer to change. Order a subscription first.")
    asset = by_customer.get(request.about, assets[0])
    choices = tuple(
        (row.customer_id, f"{row.customer.name} · {row.product.name}")
        for row in assets
        if by_customer[row.customer_id] is row
    )
    customer = asset.customer
    body: dict[str, Any] = _update_body(customer)
    contact = {**customer.contact_info, **body["account"]["contact_info"]}
    body["account"] |= {"name": customer.name, "contact_info": contact}
    entries = [PreviewField("account.name", "Company", "Changed to", required=True)]
    entries += [
        PreviewField(f"account.contact_info.{path}", label, "Changed to")
        for path, label in _CONTACT
    ]
    return Preview(
        body,
        Actor(None, customer.owner),
        asset.product,
        tuple(entries),
        about_label="Customer",
        about=choices,
        chosen=customer.pk,
    )
