"""Realistic fulfillment requests of each type, made through the ordinary ways."""

from __future__ import annotations

import secrets
from typing import Any

from requests_queue import sample_values, transitions
from requests_queue.catalog import parameter_values, visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset, Connection, Product
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.fulfillment import creation, editing, request_types
from requests_queue.queues.fulfillment.models import OPEN, Request

_NEEDS = {
    **request_types.TYPE_CAPABILITY,
    "suspend": "subscription.hold",
    "resume": "subscription.hold",
}
_CUSTOMERS = (
    ("Harbour Cafe", "Ada", "Ray"),
    ("Cedar & Pine Books", "Noor", "Haddad"),
    ("Blue Ridge Dental", "Tomas", "Lind"),
    ("Juniper Studio", "Mei", "Tan"),
)


def create_sample(
    kind: str, product: Product | None, account: Account | None = None, *, draft: bool = False
) -> Request:
    """Create a request of a type, for a product or for the first of the account's that fits.

    A type that needs a subscription takes one that is free, or orders and approves one first.
    Raises Invalid or Refused where there is none or the product can't have it.
    """
    types = tuple(request_types.DRAFT_CAPABILITY) if draft else request_types.TYPES
    if kind not in types:
        known = ", ".join(types)
        raise Invalid("type", f'"{kind}" is not one of {known}{" (drafts)" if draft else ""}.')
    connection = connection_for(product, kind, account, draft=draft)
    status = draft_status(kind, connection.product) if draft else {}
    if kind == "purchase":
        return creation.create(purchase(connection) | status, _distributor(connection))
    asset = _free_asset(connection, request_types.NEEDS_ASSET[kind])
    return creation.create(on_asset(kind, asset) | status, _distributor(connection))


def draft_status(kind: str, product: Product) -> dict[str, str]:
    """Return what makes a body a draft's; without the capability it would be born as no draft."""
    capability = request_types.DRAFT_CAPABILITY[kind]
    if not product.capability(capability):
        raise Refused(
            "REQ_003",
            f"{product.pk} doesn't have the capability {capability}, without which a {kind} "
            f"request is never a draft.",
        )
    return {"status": "draft"}


def connection_for(
    product: Product | None, kind: str, account: Account | None, *, draft: bool
) -> Connection:
    """Return the line through which a sample of the type is ordered; raises Invalid."""
    needed = [_NEEDS.get(kind), request_types.DRAFT_CAPABILITY[kind] if draft else None]
    rows = visibility.connections(account).select_related("product", "provider", "vendor")
    rows = rows.filter(product__listings__status="listed", product__items__isnull=False)
    rows = (rows.filter(product=product) if product else rows).order_by("pk").distinct()
    for connection in rows:
        if product or all(connection.product.capability(name) for name in needed if name):
            return connection
    what = f"{kind} request{' as a draft' if draft else ''}"
    raise Invalid("product", f"There is no product that can have a {what}.")


def _distributor(connection: Connection) -> Actor:
    return Actor(None, connection.provider)


def _vendor(connection: Connection) -> Actor:
    return Actor(None, connection.vendor)


def purchase(connection: Connection) -> dict[str, Any]:
    """Return the body of a purchase by a new customer."""
    product = connection.product
    name, first, last = secrets.choice(_CUSTOMERS)
    number = secrets.randbelow(10**6)
    wanted = [p for p in parameter_values.blank(product) if p["phase"] == "ordering"]
    return {
        "type": "purchase",
        "asset": {
            "external_id": str(100000 + number),
            "external_uid": secrets.token_hex(16),
            "connection": {"id": connection.pk},
            "items": [
                {"id": item.pk, "quantity": 1 + number % 9} for item in product.items.all()[:2]
            ],
            "params": [
                sample_values.fill(p, f"sample {p['id']}")
                for p in wanted
                if p["constraints"].get("required")
            ],
            "tiers": {
                "customer": _tier(name, first, last, f"customer-{number}"),
                "tier1": _reseller(connection),
            },
        },
    }


def _reseller(connection: Connection) -> dict[str, Any]:
    """Return a reseller that sells the product already, and so is set up; else a new one."""
    sold = Asset.objects.filter(
        connection=connection, status="active", tier1__decommissioned=None
    ).order_by("-created", "pk")
    found = sold.first()
    if found is not None:
        return {"id": found.tier1_id}
    return _tier("Portland Resellers", "Jon", "Berg", "sample-reseller-1")


def _tier(name: str, first: str, last: str, uid: str) -> dict[str, Any]:
    return {
        "name": name,
        "external_id": uid,
        "external_uid": uid,
        "contact_info": {
            "address_line1": "1 Harbour Road",
            "city": "Portland",
            "state": "OR",
            "postal_code": "97201",
            "country": "US",
            "contact": {
                "first_name": first,
                "last_name": last,
                "email": f"{first}.{last}@example.com".lower(),
                "phone_number": {
                    "country_code": "+1", "area_code": "503", "phone_number": "5550100",
                },
            },
        },
    }  # fmt: skip


def on_asset(kind: str, asset: Asset) -> dict[str, Any]:
    """Return the body of a request of another type about a subscription."""
    given: dict[str, Any] = {"id": asset.pk}
    if kind == "change":
        given["items"] = [
            {"id": item["global_id"], "quantity": int(float(item["quantity"])) + 5}
            for item in asset.items
            if item["item_type"] != "PPU"
        ]
    return {"type": kind, "asset": given}


def _free_asset(connection: Connection, statuses: tuple[str, ...]) -> Asset:
    rows = Asset.objects.filter(connection=connection).exclude(requests__status__in=OPEN)
    found = rows.filter(status__in=statuses).order_by("-created", "pk").first()
    if found is not None:
        return found
    asset = rows.filter(status="active").order_by("-created", "pk").first()
    if asset is None:
        asset = _approved(creation.create(purchase(connection), _distributor(connection))).asset
    if "suspended" in statuses and "active" not in statuses:
        _approved(creation.create(on_asset("suspend", asset), _distributor(connection)))
    asset.refresh_from_db()
    return asset


def _approved(request: Request) -> Request:
    """Approve as the vendor would, and return the request."""
    vendor = _vendor(request.asset.connection)
    if request.status != "pending":
        raise Invalid("", f"{request.pk} is {request.status}: no subscription can be made of it.")
    values = [
        sample_values.fill(p, f"sample {p['id']}")
        for p in request.params
        if p["id"] in parameter_values.missing(request.params, "fulfillment")
    ]
    if values:
        editing.edit(request.pk, {"asset": {"params": values}}, vendor)
    moved: Request = transitions.move(Request, request.pk, "approve", vendor, {})
    return moved
