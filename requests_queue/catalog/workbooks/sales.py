"""What a new product needs to be ordered: a listing and a connection, as the demo products have."""

from __future__ import annotations

from requests_queue import clock, ids
from requests_queue.catalog.models import Account, Contract, Hub, Listing, Marketplace, Product
from requests_queue.catalog.preview import ACCOUNT as PREVIEW
from requests_queue.catalog.writes import connections


def offer(product: Product) -> str | None:
    """List and connect a product that isn't yet, and return why it cannot be ordered, or None.

    The vendor gets a contract with the first marketplace if it has none.
    """
    contracts = list(_contracts(product.owner))
    if not product.listings.exists():
        now = clock.shown(clock.now())
        for contract in contracts:
            listing = Listing(product=product, contract=contract, created=now, updated=now)
            ids.create(listing, "listing")
    if not product.connections.exists():
        places = [contract.marketplace_id for contract in contracts]
        hubs = Hub.objects.filter(marketplaces__in=places).distinct().order_by("pk")
        for hub in list(hubs):
            connections.create(product, {"hub": hub.pk})
    if product.connections.exists():
        return None
    return "No marketplace has a hub: connect the product to a hub before it is ordered."


def _contracts(vendor: Account) -> list[Contract]:
    active = Contract.objects.filter(vendor=vendor, status="active", program=None)
    found = list(active.exclude(provider=PREVIEW).select_related("marketplace").order_by("pk"))
    if found:
        return found
    place = Marketplace.objects.exclude(owner=PREVIEW).select_related("owner").first()
    if place is None:
        return []
    now = clock.shown(clock.now())
    return [
        ids.create(
            Contract(
                name=f"Contract of {place.owner.name}"[:255],
                vendor=vendor,
                provider=place.owner,
                marketplace=place,
                created=now,
                enrolled=now,
                signed=now,
            ),
            "contract",
        )
    ]
