"""Sample fulfillment requests of each type."""

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

_CAPABILITIES = {
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
    """Create a request of a type, for a product (None: the first of the account that fits).

    A type that needs a subscription gets one without open requests; where there is none, one is
    ordered and approved first. Raises Invalid or Refused where the product does not allow it.
    """
    types = tuple(request_types.DRAFT_CAPABILITY) if draft else request_types.TYPES
    if kind not in types:
        allowed = ", ".join(types)
        raise Invalid("type", f'"{kind}" is not one of {allowed}{" (drafts)" if draft else ""}.')
    connection = connection_for(product, kind, account, draft=draft)
    status = draft_status(kind, connection.product) if draft else {}
    if kind == "purchase":
        return creation.create(purchase_body(connection) | status, _distributor(connection))
    asset = _free_asset(connection, request_types.NEEDS_ASSET[kind])
    return creation.create(body_about(kind, asset) | status, _distributor(connection))


def draft_status(kind: str, product: Product) -> dict[str, str]:
    """Return the status of a draft for the body; raises Refused without the capability."""
    capability = request_types.DRAFT_CAPABILITY[kind]
    if not product.capability(capability):
        raise Refused(
            "REQ_003",
            f"Drafts of type {kind} need the capability {capability}, which {product.pk} does "
            "not have.",
        )
    return {"status": "draft"}


def connection_for(
    product: Product | None, kind: str, account: Account | None, *, draft: bool
) -> Connection:
    """Return the connection through which a sample of the type is ordered; raises Invalid."""
    needed = [_CAPABILITIES.get(kind), request_types.DRAFT_CAPABILITY[kind] if draft else None]
    rows = visibility.connections(account).select_related("product", "provider", "vendor")
    rows = rows.filter(product__listings__status="listed", product__items__isnull=False)
    rows = (rows.filter(product=product) if product else rows).order_by("pk").distinct()
    for connection in rows:
        if product or all(connection.product.capability(name) for name in needed if name):
            return connection
    drafts = "drafts of " if draft else ""
    raise Invalid("product", f"No product allows {drafts}requests of type {kind}.")


def _distributor(connection: Connection) -> Actor:
    return Actor(None, connection.provider)


def _vendor(connection: Connection) -> Actor:
    return Actor(None, connection.vendor)


def purchase_body(connection: Connection) -> dict[str, Any]:
    """Return the body of a purchase by a new customer."""
    product = connection.product
    name, first, last = secrets.choice(_CUSTOMERS)
    number = secrets.randbelow(10**6)
    ordering = [p for p in parameter_values.blank(product) if p["phase"] == "ordering"]
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
                for p in ordering
                if p["constraints"].get("required")
            ],
            "tiers": {
                "customer": _tier(name, first, last, f"customer-{number}"),
                "tier1": _reseller(connection),
            },
        },
    }


def _reseller(connection: Connection) -> dict[str, Any]:
    """Return a reseller of an active subscription, which is set up already; else a new one."""
    sold = Asset.objects.filter(
        connection=connection, status="active", tier1__decommissioned=None
    ).order_by("-created", "pk")
    asset = sold.first()
    if asset is not None:
        return {"id": asset.tier1_id}
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


def body_about(kind: str, asset: Asset) -> dict[str, Any]:
    """Return the body of a request about an existing subscription."""
    values: dict[str, Any] = {"id": asset.pk}
    if kind == "change":
        values["items"] = [
            {"id": item["global_id"], "quantity": int(float(item["quantity"])) + 5}
            for item in asset.items
            if item["item_type"] != "PPU"
        ]
    return {"type": kind, "asset": values}


def _free_asset(connection: Connection, statuses: tuple[str, ...]) -> Asset:
    rows = Asset.objects.filter(connection=connection).exclude(requests__status__in=OPEN)
    existing = rows.filter(status__in=statuses).order_by("-created", "pk").first()
    if existing is not None:
        return existing
    asset = rows.filter(status="active").order_by("-created", "pk").first()
    if asset is None:
        asset = _approved(
            creation.create(purchase_body(connection), _distributor(connection))
        ).asset
    if "suspended" in statuses and "active" not in statuses:
        _approved(creation.create(body_about("suspend", asset), _distributor(connection)))
    asset.refresh_from_db()
    return asset


def _approved(request: Request) -> Request:
    """Approve a request as its vendor, and return it."""
    vendor = _vendor(request.asset.connection)
    if request.status != "pending":
        raise Invalid("", f"{request.pk} is {request.status}. Only pending requests are approved.")
    values = [
        sample_values.fill(p, f"sample {p['id']}")
        for p in request.params
        if p["id"] in parameter_values.missing(request.params, "fulfillment")
    ]
    if values:
        editing.edit(request.pk, {"asset": {"params": values}}, vendor)
    approved: Request = transitions.move(Request, request.pk, "approve", vendor, {})
    return approved
