"""What a sample of a listing request would be, to be changed before it is created."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Contract, Listing, Product
from requests_queue.errors import Refused
from requests_queue.queues.base import Preview, PreviewField, SampleRequest
from requests_queue.queues.listing import samples
from requests_queue.queues.listing.models import UNDER_WAY

# Of more listings the first are offered, and so many products looked at.
OFFERED, LOOKED_AT = 50, 10
_OUTER = OuterRef("pk")
_NOTE = PreviewField("note", "Note", "Request")


def build_preview(wish: SampleRequest) -> Preview:
    """Return what `POST /listing-requests` would be sent; raises Refused."""
    return _new(wish) if wish.kind == "new" else _listed(wish)


def _new(wish: SampleRequest) -> Preview:
    contracts = visibility.contracts(wish.account)
    products = [wish.product] if wish.product else _unsold_first(wish)
    for product in products:
        free = list(samples.free(product, contracts).select_related("vendor", "marketplace"))
        if free:
            return _under(product, free, wish)
    raise Refused(
        "REQ_003",
        "Every product is listed, or about to be, under every contract of its vendor: take one "
        "off a marketplace first.",
    )


def _unsold_first(wish: SampleRequest) -> QuerySet[Product]:
    rows = visibility.products(wish.account).alias(
        sold=Exists(Listing.objects.filter(product=_OUTER))
    )
    return rows.order_by("sold", "pk")[:LOOKED_AT]


def _under(product: Product, contracts: list[Contract], wish: SampleRequest) -> Preview:
    chosen = next((row for row in contracts if row.pk == wish.about), contracts[0])
    body = {
        "type": "new", "product_id": product.pk, "contract_id": chosen.pk,
        "note": samples.NOTES["new"],
    }  # fmt: skip
    return Preview(
        body, samples.vendor_of(chosen.vendor), product, (_NOTE,), about_label="Contract",
        about=tuple((row.pk, f"{row.name} · {row.marketplace.name}") for row in contracts),
        chosen=chosen.pk,
    )  # fmt: skip


def _listed(wish: SampleRequest) -> Preview:
    rows = visibility.listings(wish.account).filter(status="listed")
    rows = rows.exclude(requests__status__in=UNDER_WAY)
    if wish.product is not None:
        rows = rows.filter(product=wish.product)
    found = list(rows.select_related("product", *_WITH).order_by("pk")[:OFFERED])
    chosen: Listing | None = next((row for row in found if row.pk == wish.about), None)
    chosen = chosen or (found[0] if found else None)
    if chosen is None:
        raise Refused("REQ_003", f"No listing is free for a request of type {wish.kind}.")
    body = {"type": wish.kind, "listing_id": chosen.pk, "note": samples.NOTES[wish.kind]}
    return Preview(
        body, samples.vendor_of(chosen.contract.vendor), chosen.product, (_NOTE,),
        about_label="Listing", about=tuple((row.pk, _named(row)) for row in found),
        chosen=chosen.pk,
    )  # fmt: skip


_WITH = ("contract__vendor", "contract__marketplace")


def _named(row: Listing) -> str:
    return f"{row.product.name} on {row.contract.marketplace.name} · {row.pk}"
