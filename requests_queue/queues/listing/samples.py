"""Sample listing requests of each type, and previews of them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from requests_queue import clock, ids
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Contract, Listing, Product
from requests_queue.errors import Refused
from requests_queue.queues import sampling
from requests_queue.queues.listing import creation, effects
from requests_queue.queues.listing.models import OPEN, ListingRequest
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest

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

    A new listing is of a product that has none, or of one that may be listed again; only where
    there is no such product, one is created. Raises Refused where no listing of the product, or
    no contract, allows the request.
    """
    if kind == "new":
        contracts = Contract.objects.filter(program=None, **visibility.party(account))
        chosen = product or _unsold(contracts) or _relisted(contracts) or _create_product(contracts)
        contract = free_contracts(chosen, contracts).first()
        if contract is None:
            raise Refused(
                "REQ_003",
                "The product is listed, or about to be, under every contract of its vendor. "
                "Remove it from a marketplace first.",
            )
        return creation.create(_new_body(chosen, contract), sampling.with_user(chosen.owner))
    rows = Listing.objects.filter(status="listed", **visibility.party(account, "contract__"))
    rows = rows.exclude(requests__status__in=OPEN)
    rows = sampling.of_product(rows, product).select_related("contract__vendor")
    listing = rows.order_by("pk").first()
    if listing is None:
        raise Refused("REQ_003", f"No listing without open requests for a request of type {kind}.")
    body = {"type": kind, "listing_id": listing.pk, "note": NOTES[kind]}
    return creation.create(body, sampling.with_user(listing.contract.vendor))


def _new_body(product: Product, contract: Contract) -> dict[str, str]:
    return {
        "type": "new",
        "product_id": product.pk,
        "contract_id": contract.pk,
        "note": NOTES["new"],
    }


def free_contracts(product: Product, contracts: QuerySet[Contract]) -> QuerySet[Contract]:
    """Return the contracts under which the product is neither listed nor about to be."""
    taken = Listing.objects.filter(product=product).filter(
        Q(status="listed") | Q(requests__status__in=OPEN)
    )
    rows = contracts.filter(vendor=product.owner_id).exclude(pk__in=taken.values("contract"))
    return rows.order_by("pk")


def _unsold(contracts: QuerySet[Contract]) -> Product | None:
    published = Product.objects.select_related("owner").filter(status="published")
    products = published.filter(listings=None)
    return products.filter(owner__vended_contracts__in=contracts).order_by("pk").first()


def _relisted(contracts: QuerySet[Contract]) -> Product | None:
    """Return a product whose listing has ended, or never began, under one of the contracts."""
    products = Product.objects.select_related("owner").filter(
        status="published", owner__vended_contracts__in=contracts, listings__status="unlisted"
    )
    products = products.distinct().order_by("pk")[:EXAMINED]
    return next((row for row in products if free_contracts(row, contracts).exists()), None)


def _create_product(contracts: QuerySet[Contract]) -> Product:
    vendor = Account.objects.filter(vended_contracts__in=contracts).order_by("pk").first()
    if vendor is None:
        raise Refused("REQ_003", "No vendor has a contract with a distributor.")
    now = clock.shown(clock.now())
    return ids.create(
        Product(
            name=f"{vendor.brand or vendor.name} Archive",
            owner=vendor,
            short_description="A product that is not sold yet.",
            created=now,
            updated=now,
            published=now,
        ),
        "product",
    )


# Listings that a preview offers at most; products that it examines.
OFFERED, EXAMINED = 50, 10
_NOTE = PreviewField("note", "Note", "Request")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /listing-requests`; raises Refused."""
    return _preview_new(request) if request.kind == "new" else _preview_listed(request)


def _preview_new(request: SampleRequest) -> Preview:
    contracts = visibility.contracts(request.account).filter(program=None)
    if request.product and request.product.status != "published":
        raise Refused("REQ_003", effects.unpublished(request.product))
    products = [request.product] if request.product else _unsold_first(request)
    for product in products:
        free = list(free_contracts(product, contracts).select_related("vendor", "marketplace"))
        if free:
            chosen = sampling.chosen(free, request.about)
            return Preview(
                _new_body(product, chosen),
                sampling.with_user(chosen.vendor),
                product,
                (_NOTE,),
                about_label="Contract",
                about=tuple((row.pk, f"{row.name} · {row.marketplace.name}") for row in free),
                chosen=chosen.pk,
            )
    raise Refused(
        "REQ_003",
        "Every product is listed, or about to be, under every contract of its vendor. Remove "
        "one from a marketplace first.",
    )


def _unsold_first(request: SampleRequest) -> QuerySet[Product]:
    rows = visibility.products(request.account).filter(status="published")
    rows = rows.alias(sold=Exists(Listing.objects.filter(product=OuterRef("pk"))))
    return rows.order_by("sold", "pk")[:EXAMINED]


def _preview_listed(request: SampleRequest) -> Preview:
    rows = visibility.listings(request.account).filter(status="listed")
    rows = rows.exclude(requests__status__in=OPEN)
    rows = sampling.of_product(rows, request.product)
    rows = rows.select_related("product", "contract__vendor", "contract__marketplace")
    listings = list(rows.order_by("pk")[:OFFERED])
    if not listings:
        raise Refused(
            "REQ_003", f"No listing without open requests for a request of type {request.kind}."
        )
    chosen = sampling.chosen(listings, request.about)
    body = {"type": request.kind, "listing_id": chosen.pk, "note": NOTES[request.kind]}
    return Preview(
        body,
        sampling.with_user(chosen.contract.vendor),
        chosen.product,
        (_NOTE,),
        about_label="Listing",
        about=tuple(
            (row.pk, f"{row.product.name} on {row.contract.marketplace.name} · {row.pk}")
            for row in listings
        ),
        chosen=chosen.pk,
    )
