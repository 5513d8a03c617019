"""The preview environment: a vendor orders its own product and is both parties of the order.

For the connection, contract, hub and marketplace of such an order Connect shows placeholder ids,
and queries find them by these ids or by `null()`. Contract, hub and marketplace are one row each
for all vendors, owned by an account without users, so that no list shows them. There is one
connection per product, because it determines the parties of an order.
"""

from __future__ import annotations

from requests_queue import clock
from requests_queue.catalog.models import (
    Account,
    Connection,
    Contract,
    Hub,
    Marketplace,
    Product,
)
from requests_queue.catalog.models.directory import PREVIEW_CONNECTION

CONNECTION, CONTRACT = PREVIEW_CONNECTION, "CRD-00000-00000-00000"
HUB, MARKETPLACE = "HB-0000-0000", "MP-00000"
# Owns the rows that all vendors share; has no users.
ACCOUNT = "PA-000-000"
TYPE = "preview"


def connection_of(product: Product) -> Connection:
    """Return the preview connection of a product; created on first use."""
    hub = _hub()
    row, _ = Connection.objects.get_or_create(
        pk=f"{CONNECTION}/{product.pk.removeprefix('PRD-')}"[:32],
        defaults={
            "type": TYPE,
            "product": product,
            "provider_id": product.owner_id,
            "vendor_id": product.owner_id,
            "hub": hub,
            "created": clock.shown(clock.now()),
        },
    )
    return row


def is_preview(connection: Connection) -> bool:
    """Whether a connection is a product's preview connection."""
    return connection.pk.startswith(CONNECTION)


def contract() -> Contract:
    """Return the contract of preview orders, with its marketplace."""
    found = Contract.objects.select_related("marketplace").filter(pk=CONTRACT).first()
    if found is not None:
        return found
    owner, now = _account(), clock.shown(clock.now())
    place, _ = Marketplace.objects.get_or_create(
        pk=MARKETPLACE, defaults={"name": "Preview", "owner": owner, "created": now}
    )
    row, _ = Contract.objects.get_or_create(
        pk=CONTRACT,
        defaults={
            "name": "Preview", "vendor": owner, "provider": owner, "marketplace": place,
            "created": now, "enrolled": now, "signed": now,
        },
    )  # fmt: skip
    return row


def _hub() -> Hub:
    found = Hub.objects.filter(pk=HUB).first()
    if found is not None:
        return found
    now = clock.shown(clock.now())
    row, _ = Hub.objects.get_or_create(
        pk=HUB,
        defaults={"name": "ACME Hub", "company": _account(), "created": now, "updated": now},
    )
    return row


def _account() -> Account:
    row, _ = Account.objects.get_or_create(
        pk=ACCOUNT,
        defaults={
            "name": "Preview", "type": "provider", "role": "distributor",
            "created": clock.shown(clock.now()),
        },
    )  # fmt: skip
    return row
