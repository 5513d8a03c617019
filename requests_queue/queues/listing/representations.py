"""What a listing request and its listing look like in the API.

`GET /listing-requests/{id}` and `GET /listings/{id}` of Connect's OpenAPI document; the
marketplace in a listing's contract is from objects that published clients captured.
"""

from __future__ import annotations

from typing import Any

from requests_queue.catalog.models import Product, User
from requests_queue.catalog.representations import account_ref, icon, marketplace_ref
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.rest import Json, event_at, format_datetime

# There are no price lists and no offers here; the document demands the keys all the same.
_NO_PRICELIST: Json = {"id": None, "name": "", "status": "draft"}
_PRICES: Json = {
    "offer": {"id": None, "name": "", "plans": [], "type": None},
    "pricelist": _NO_PRICELIST,
    "alt_pricelist_1": _NO_PRICELIST,
    "alt_pricelist_2": _NO_PRICELIST,
}


def _product(row: Product) -> Json:
    category = row.category
    found: Json = {
        "id": row.id,
        "name": row.name,
        "icon": icon(row),
        "status": row.status,
        "description": row.short_description,
    }
    if category.get("name"):
        found["category"] = {"id": category.get("id", ""), "name": category["name"]}
    return found


def _user(row: User) -> Json:
    return {"id": row.uid, "name": row.name, "icon": f"/media/user/{row.uid}/icon.svg"}


def listing(row: Any) -> Json:
    """Return a listing as `GET /listings/{id}` has it, `open_requests` prefetched by the view."""
    contract = row.contract
    found: Json = {
        "id": row.id,
        "status": row.status,
        "contract": {
            "id": contract.id,
            "type": contract.type,
            "name": contract.name,
            "marketplace": marketplace_ref(contract.marketplace),
        },
        "product": _product(row.product),
        "vendor": account_ref(contract.vendor),
        "provider": account_ref(contract.provider),
        "created": format_datetime(row.created),
        "updated": format_datetime(row.updated),
        **_PRICES,
    }
    for request in row.open_requests:
        found["pending_request"] = {
            "id": request.id,
            "type": request.type,
            "status": request.status,
        }
    return found


def request(row: ListingRequest) -> Json:
    """Return a request as `GET /listing-requests/{id}` has it; its status is called `state`."""
    created = event_at(row.created) or {}
    return {
        "id": row.id,
        "type": row.type,
        "state": row.status,
        "product": _product(row.product),
        "listing": listing(row.listing),
        "creator": _user(row.creator) if row.creator else {},
        "assignee": _user(row.assignee) if row.assignee else {},
        "created": format_datetime(row.created),
        "updated": format_datetime(row.updated),
        "note": row.note,
        "events": {
            "created": {**created, "by": _user(row.creator)} if row.creator else created,
            "updated": event_at(row.updated),
        },
    }
