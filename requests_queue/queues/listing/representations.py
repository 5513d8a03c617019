"""Listings, and the requests about them.

`GET /listing-requests/{id}` and `GET /listings/{id}` of Connect's OpenAPI document; the
marketplace in a listing's contract is from objects that published clients captured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from requests_queue.api.resources import HAPPENED, Constant, Field, Part, Resource
from requests_queue.api.schema import AnyReference, Stamp
from requests_queue.catalog.models import Listing, Product
from requests_queue.catalog.representations import PICTURED, icon
from requests_queue.queues.listing.models import ListingRequest

Kind = Literal["new", "update", "remove"]
State = Literal["draft", "reviewing", "deploying", "completed", "canceled"]


def _category(row: Product) -> Any:
    category = row.category
    if category.get("name"):
        return {"id": category.get("id", ""), "name": category["name"]}
    return None


def _pending(row: Any) -> ListingRequest | None:
    """Return the open request of a listing, which the view has prefetched."""
    return next(iter(row.open_requests), None)


_USER = replace(
    PICTURED,
    keys={
        "id": Field(str, "uid"),
        "name": Field(str, unfiltered=True),
        "icon": Field(str, lambda row: f"/media/user/{row.uid}/icon.svg"),
    },
)
_PRODUCT = Part(
    "ListedProduct",
    "A product, as listings have it.",
    {
        "id": str,
        "name": str,
        "icon": Field(str, icon),
        "status": str,
        "description": Field(str, "short_description"),
        "category": Field(AnyReference, _category, optional=True),
    },
)
_PRICELIST = Part(
    "PriceList",
    "Not simulated: always empty.",
    {"id": Constant(None, str | None), "name": Constant("", str), "status": Constant("draft", str)},
)

LISTING = Resource(
    "Listing",
    "A product on a marketplace.",
    {
        "id": str,
        "status": Literal["listed", "unlisted"],
        "contract": Field(
            Part(
                "ListedContract",
                "A contract with its marketplace.",
                {"id": str, "type": str, "name": str, "marketplace": Field(PICTURED)},
            )
        ),
        "product": Field(_PRODUCT),
        "vendor": Field(PICTURED, "contract.vendor"),
        "provider": Field(PICTURED, "contract.provider"),
        "created": Stamp,
        "updated": Stamp,
        "offer": Part(
            "Offer",
            "Not simulated: always empty.",
            {
                "id": Constant(None, str | None),
                "name": Constant("", str),
                "plans": Constant([], list[Any]),
                "type": Constant(None, str | None),
            },
        ),
        "pricelist": _PRICELIST,
        "alt_pricelist_1": _PRICELIST,
        "alt_pricelist_2": _PRICELIST,
        "pending_request": Field(
            Part(
                "PendingListingRequest",
                "The open request about a listing.",
                {"id": str, "type": Kind, "status": State},
            ),
            _pending,
            optional=True,
        ),
    },
    model=Listing,
    search=("id",),
    also={
        "state": "status",
        "product_id": "product__id",
        "product.version": "product__version",
        "marketplace.id": "contract__marketplace__id",
        "marketplace.name": "contract__marketplace__name",
        "pending_request.id": Field(str, "pending_id"),
        "pending_request.type": Field(str, "pending_type"),
        "pending_request.status": Field(str, "pending_status"),
        "pending_request.is_null": Field(bool, "pending_is_null"),
    },
)
# A request is filtered by the parties and places of its listing, with and without the prefix.
_OF_LISTING = {
    name: route if name.startswith("product.") else f"listing__{route}"
    for name, route in LISTING.routes.items()
    if name.startswith(("contract.", "marketplace.", "product.", "provider.", "vendor."))
}
LISTING_REQUEST = Resource(
    "ListingRequest",
    "A vendor's request to list a product, or to take it off.",
    {
        "id": str,
        "type": Kind,
        "state": Field(State, "status"),
        "product": Field(_PRODUCT),
        "listing": Field(LISTING),
        "creator": Field(_USER, empty={}),
        "assignee": Field(_USER, empty={}),
        "created": Stamp,
        "updated": Stamp,
        "note": str,
        "events": Part(
            "ListingRequestEvents",
            "The moments of a request.",
            {
                "created": Part(
                    "MadeBy",
                    "A moment, and whose.",
                    {"at": Field(Stamp, "created"), "by": Field(_USER, "creator", optional=True)},
                ),
                "updated": Field(HAPPENED),
            },
        ),
    },
    model=ListingRequest,
    search=("id",),
    also={
        "status": "status",
        "product_id": "product__id",
        "listing.status": "listing__status",
        **_OF_LISTING,
        **{f"listing.{name}": route for name, route in _OF_LISTING.items()},
    },
)
