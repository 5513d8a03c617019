"""What listing requests and listings can be filtered and ordered by."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, CharField

from requests_queue.catalog.models import Listing
from requests_queue.catalog.views.filtering import computed
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.rest import ConnectFilters, filters, parts


def _of_listing(prefix: str, route: str, product: str = "product") -> list[Any]:
    """Return the filters of a listing's parties and places, under a prefix of names and routes."""
    routes = {
        "contract.id": f"{route}contract__id",
        "contract.name": f"{route}contract__name",
        "marketplace.id": f"{route}contract__marketplace__id",
        "marketplace.name": f"{route}contract__marketplace__name",
        "contract.marketplace.id": f"{route}contract__marketplace__id",
        "contract.marketplace.name": f"{route}contract__marketplace__name",
        "product.id": f"{product}__id",
        "product.name": f"{product}__name",
        "product.version": f"{product}__version",
        "provider.id": f"{route}contract__provider__id",
        "provider.name": f"{route}contract__provider__name",
        "vendor.id": f"{route}contract__vendor__id",
        "vendor.name": f"{route}contract__vendor__name",
    }
    return filters(*((f"{prefix}{name}", source) for name, source in routes.items()))


class ListingRequestFilters(ConnectFilters):
    """What `/listing-requests` takes; `state` is also known as `status`."""

    MODEL = ListingRequest
    FILTERS = [
        *filters(
            "id", "type", "status", "created", "updated", "note", ("state", "status"),
            ("product_id", "product__id"), ("listing.id", "listing__id"),
            ("listing.status", "listing__status"), ("events.created.at", "created"),
            ("events.updated.at", "updated"), ("assignee.id", "assignee__uid"),
            ("creator.id", "creator__uid"),
            search=("id",),
        ),
        *_of_listing("", "listing__"),
        *_of_listing("listing.", "listing__"),
        *parts("product", "listing", "listing.contract", "listing.product", "creator", "assignee",
               "events"),
    ]  # fmt: skip


class ListingFilters(ConnectFilters):
    """What `/listings` takes, `status` also as `state`; a pending request's are annotations."""

    MODEL = Listing
    FILTERS = [
        *filters(
            "id", "status", "created", "updated", ("state", "status"),
            ("product_id", "product__id"), search=("id",),
        ),
        *_of_listing("", ""),
        computed("pending_request.id", "pending_id", CharField()),
        computed("pending_request.type", "pending_type", CharField()),
        computed("pending_request.status", "pending_status", CharField()),
        computed("pending_request.is_null", "pending_is_null", BooleanField()),
        *parts("contract", "product", "vendor", "provider", "offer", "pricelist",
               "alt_pricelist_1", "alt_pricelist_2", "pending_request"),
    ]  # fmt: skip
