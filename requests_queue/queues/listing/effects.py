"""Preparations and effects of the actions of listing requests."""

from __future__ import annotations

from typing import Any

from requests_queue import clock
from requests_queue.catalog.actors import DISTRIBUTOR
from requests_queue.catalog.models import Listing, Product
from requests_queue.errors import Refused
from requests_queue.queues.base import Context
from requests_queue.queues.listing.models import OPEN, ListingRequest

# What each type needs its listing to be, and makes of it.
NEEDS = {"new": "unlisted", "update": "listed", "remove": "listed"}
MAKES = {"new": "listed", "update": "listed", "remove": "unlisted"}


def check(listing: Listing, kind: str) -> None:
    """Raise Refused if the listing, locked by the caller, has an open request or another status."""
    twin = listing.requests.filter(status__in=OPEN).first()
    if twin is not None:
        raise Refused("REQ_003", f"{listing.pk} has an open request {twin.pk} already.")
    if listing.status != NEEDS[kind]:
        raise Refused(
            "REQ_003", f"{listing.pk} is {listing.status}: {kind} is for {NEEDS[kind]} ones only."
        )


def unpublished(product: Product) -> str:
    """Return why a product can't be listed."""
    if product.status == "draft":
        return f"Product {product.pk} is draft: publish it by a version before it is listed."
    return f"Product {product.pk} is {product.status}: only a published product is listed."


def submit(request: ListingRequest, context: Context) -> dict[str, Any]:
    """Check listing and product again, and return the columns of a submitted request."""
    check(Listing.objects.select_for_update().get(pk=request.listing_id), request.type)
    product = Product.objects.get(pk=request.product_id)
    if request.type == "new" and product.status != "published":
        raise Refused("REQ_003", unpublished(product))
    return {"submitted": True, **take(request, context)}


def take(request: ListingRequest, context: Context) -> dict[str, Any]:
    """Assign an unassigned request to the distributor's user who acts on it.

    The vendor, who is assigned to requests of other queues by moving them, is not here.
    """
    if request.assignee_id is None and context.actor.role == DISTRIBUTOR:
        return {"assignee": context.actor.user}
    return {"assignee": request.assignee}


def complete(request: ListingRequest, context: Context) -> None:
    """Update the status of the listing."""
    Listing.objects.filter(pk=request.listing_id).update(
        status=MAKES[request.type], updated=clock.shown(context.now)
    )
