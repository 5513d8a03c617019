"""What a sample of a tier account request would be, to be changed before it is created."""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Asset
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.tier_account import creation, samples

# Of more subscriptions the first are looked at.
LOOKED_AT = 100
_CONTACT = (
    ("address_line1", "Address"), ("address_line2", "Address, second line"), ("city", "City"),
    ("postal_code", "Postal code"), ("country", "Country"),
    ("contact.first_name", "First name"), ("contact.last_name", "Last name"),
    ("contact.email", "E-mail"),
)  # fmt: skip


def build_preview(wish: SampleRequest) -> Preview:
    """Return what `POST /tier/account-requests` would be sent; raises Refused."""
    rows = samples.with_customers(wish.account)
    if wish.product is not None:
        rows = rows.filter(product=wish.product)
    # One whose vendor decides comes first.
    found = sorted(
        rows.order_by("pk")[:LOOKED_AT],
        key=lambda row: not row.product.capability(creation.CAPABILITY),
    )
    by_customer = {row.customer_id: row for row in reversed(found)}
    if not found:
        raise Refused("TAR_003", "There is no customer to change: order a subscription first.")
    asset = by_customer.get(wish.about, found[0])
    return _moving(
        asset, tuple(_named(row) for row in found if by_customer[row.customer_id] is row)
    )


def _moving(asset: Asset, about: tuple[tuple[str, str], ...]) -> Preview:
    customer = asset.customer
    body: dict[str, Any] = samples.moved(customer)
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


def _named(row: Asset) -> tuple[str, str]:
    return row.customer_id, f"{row.customer.name} · {row.product.name}"
