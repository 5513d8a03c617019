"""Sample listing requests of each type."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet

from requests_queue import clock, ids
from requests_queue.catalog import visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Contract, Listing, Product, User
from requests_queue.errors import Refused
from requests_queue.queues.listing import creation
from requests_queue.queues.listing.models import OPEN, ListingRequest

NOTES = {
    "new": "Please list it before the end of the month.",
    "update": "New prices and a new description.",
    "remove": "The product is replaced by its successor.",
}


@transaction.atomic
def create_sample(
    kind: str, product: Product | None, account: Account | None = None
) -> ListingRequest:
    """Create a draft of a type, for a product (None: any that fits).

    Where a new listing needs a product that has none and there is no such product, one is
    created. Raises Refused where no listing of the product, or no contract, allows the request.
    """
    if kind == "new":
        contracts = Contract.objects.filter(**visibility.party(account))
        return _new(product or _unsold(contracts) or _create_product(contracts), contracts)
    rows = Listing.objects.filter(status="listed", **visibility.party(account, "contract__"))
    rows = rows.exclude(requests__status__in=OPEN)
    if product is not None:
        rows = rows.filter(product=product)
    listing = rows.select_related("contract__vendor").order_by("pk").first()
    if listing is None:
        raise Refused("REQ_003", f"No listing without open requests for a request of type {kind}.")
    body = {"type": kind, "listing_id": listing.pk, "note": NOTES[kind]}
    return creation.create(body, vendor_actor(listing.contract.vendor))


def _new(product: Product, contracts: QuerySet[Contract]) -> ListingRequest:
    contract = free_contracts(product, contracts).first()
    if contract is None:
        raise Refused(
            "REQ_003",
            "The product is listed, or about to be, under every contract of its vendor. "
            "Remove it from a marketplace first.",
        )
    body = {
        "type": "new", "product_id": product.pk, "contract_id": contract.pk,
        "note": NOTES["new"],
    }  # fmt: skip
    return creation.create(body, vendor_actor(product.owner))


def free_contracts(product: Product, contracts: QuerySet[Contract]) -> QuerySet[Contract]:
    """Return the contracts under which the product is neither listed nor about to be."""
    taken = Listing.objects.filter(product=product).filter(
        Q(status="listed") | Q(requests__status__in=OPEN)
    )
    rows = contracts.filter(vendor=product.owner_id).exclude(pk__in=taken.values("contract"))
    return rows.order_by("pk")


def _unsold(contracts: QuerySet[Contract]) -> Product | None:
    products = Product.objects.select_related("owner").filter(listings=None)
    return products.filter(owner__vended_contracts__in=contracts).order_by("pk").first()


def _create_product(contracts: QuerySet[Contract]) -> Product:
    vendor = Account.objects.filter(vended_contracts__in=contracts).order_by("pk").first()
    if vendor is None:
        raise Refused("REQ_003", "No vendor has a contract with a distributor.")
    now = clock.shown(clock.now())
    return ids.create(
        lambda pk: Product(
            pk=pk, name=f"{vendor.brand or vendor.name} Archive", owner=vendor,
            short_description="A product that is not sold yet.", created=now, updated=now,
            published=now,
        ),
        "product",
    )  # fmt: skip


def vendor_actor(account: Account) -> Actor:
    """Return the actor of a vendor, with one of its users if it has any."""
    user = User.objects.filter(account=account, is_active=True).order_by("is_service", "pk").first()
    return Actor(user, account)
