"""Previews of tier account requests."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.tier_account import creation, samples

# Subscriptions that a preview examines at most.
EXAMINED = 100
_CONTACT = (
    ("address_line1", "Address"), ("address_line2", "Address, second line"), ("city", "City"),
    ("postal_code", "Postal code"), ("country", "Country"),
    ("contact.first_name", "First name"), ("contact.last_name", "Last name"),
    ("contact.email", "E-mail"),
)  # fmt: skip


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /tier/account-requests`; raises Refused."""
    rows = samples.with_customers(request.account)
    if request.product is not None:
        rows = rows.filter(product=request.product)
    # Products whose vendor accepts or ignores changes come first.
    assets = sorted(
        rows.order_by("pk")[:EXAMINED],
        key=lambda row: not row.product.capability(creation.CAPABILITY),
    )
    by_customer = {row.customer_id: row for row in reversed(assets)}
    if not assets:
        raise Refused("TAR_003", "There is no customer to change. Order a subscription first.")
    asset = by_customer.get(request.about, assets[0])
    choices = tuple(_choice(row) for row in assets if by_customer[row.customer_id] is row)
    return _update(asset, choices)


def _update(asset: Asset, about: tuple[tuple[str, str], ...]) -> Preview:
    customer = asset.customer
    body: dict[str, Any] = samples.update_body(customer)
    contact = {**customer.contact_info, **body["account"]["contact_info"]}
    body["account"] |= {"name": customer.name, "contact_info": contact}
    entries = [PreviewField("account.name", "Company", "Changed to", required=True)]
    entries += [
        PreviewField(f"account.contact_info.{path}", label, "Changed to")
        for path, label in _CONTACT
    ]
    return Preview(
        body, Actor(None, customer.owner), asset.product, tuple(entries),
        about_label="Customer", about=about, chosen=customer.pk,
    )  # fmt: skip


def _choice(row: Asset) -> tuple[str, str]:
    return row.customer_id, f"{row.customer.name} · {row.product.name}"
