"""Previews of listing requests."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Contract, Listing, Product
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.listing import samples
from requests_queue.queues.listing.models import OPEN

# Listings that a preview offers at most; products that it examines.
OFFERED, EXAMINED = 50, 10
_NOTE = PreviewField("note", "Note", "Request")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /listing-requests`; raises Refused."""
    return _new(request) if request.kind == "new" else _listed(request)


def _new(request: SampleRequest) -> Preview:
    contracts = visibility.contracts(request.account)
    products = [request.product] if request.product else _unsold_first(request)
    for product in products:
        free = list(
            samples.free_contracts(product, contracts).select_related("vendor", "marketplace")
        )
        if free:
            return _under(product, free, request)
    raise Refused(
        "REQ_003",
        "Every product is listed, or about to be, under every contract of its vendor. Remove "
        "one from a marketplace first.",
    )


def _unsold_first(request: SampleRequest) -> QuerySet[Product]:
    rows = visibility.products(request.account).alias(
        sold=Exists(Listing.objects.filter(product=OuterRef("pk")))
    )
    return rows.order_by("sold", "pk")[:EXAMINED]


def _under(product: Product, contracts: list[Contract], request: SampleRequest) -> Preview:
    chosen = next((row for row in contracts if row.pk == request.about), contracts[0])
    body = {
        "type": "new", "product_id": product.pk, "contract_id": chosen.pk,
        "note": samples.NOTES["new"],
    }  # fmt: skip
    return Preview(
        body, samples.vendor_actor(chosen.vendor), product, (_NOTE,), about_label="Contract",
        about=tuple((row.pk, f"{row.name} · {row.marketplace.name}") for row in contracts),
        chosen=chosen.pk,
    )  # fmt: skip


def _listed(request: SampleRequest) -> Preview:
    rows = visibility.listings(request.account).filter(status="listed")
    rows = rows.exclude(requests__status__in=OPEN)
    if request.product is not None:
        rows = rows.filter(product=request.product)
    rows = rows.select_related("product", "contract__vendor", "contract__marketplace")
    listings = list(rows.order_by("pk")[:OFFERED])
    if not listings:
        raise Refused(
            "REQ_003", f"No listing without open requests for a request of type {request.kind}."
        )
    chosen = next((row for row in listings if row.pk == request.about), listings[0])
    body = {"type": request.kind, "listing_id": chosen.pk, "note": samples.NOTES[request.kind]}
    return Preview(
        body, samples.vendor_actor(chosen.contract.vendor), chosen.product, (_NOTE,),
        about_label="Listing", about=tuple((row.pk, _label(row)) for row in listings),
        chosen=chosen.pk,
    )  # fmt: skip


def _label(row: Listing) -> str:
    return f"{row.product.name} on {row.contract.marketplace.name} · {row.pk}"
