"""Sample fulfillment requests of each type, and previews of them."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from requests_queue.catalog import parameter_values, sample_values, visibility
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, Asset, Connection, Product
from requests_queue.errors import Invalid, Refused
from requests_queue.queues import inquiries, sampling, transitions
from requests_queue.queues.fulfillment import creation, editing, request_types
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.queues.sampling import Preview, PreviewField, SampleRequest

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
    sampling.check_type(kind, _types(draft), " (drafts)" if draft else "")
    connection = connection_for(product, kind, account, draft=draft)
    status, distributor = _status(kind, connection.product, draft), Actor(None, connection.provider)
    if kind == "purchase":
        return creation.create(purchase_body(connection) | status, distributor)
    asset = _free_asset(connection, request_types.asset_statuses(kind))
    return creation.create(body_about(kind, asset) | status, distributor)


def _types(draft: bool) -> Collection[str]:
    return request_types.DRAFT_CAPABILITY if draft else request_types.TYPES


def _status(kind: str, product: Product, draft: bool) -> dict[str, str]:
    if not draft:
        return {}
    return sampling.draft_status(kind, request_types.DRAFT_CAPABILITY[kind], product)


def connection_for(
    product: Product | None, kind: str, account: Account | None, *, draft: bool
) -> Connection:
    """Return the connection through which a sample of the type is ordered; raises Invalid."""
    needed = [_CAPABILITIES.get(kind), request_types.DRAFT_CAPABILITY[kind] if draft else None]
    rows = visibility.connections(account).select_related("product", "provider", "vendor")
    rows = rows.filter(product__listings__status="listed", product__items__isnull=False)
    for connection in sampling.of_product(rows, product).order_by("pk").distinct():
        if product or all(connection.product.capability(name) for name in needed if name):
            return connection
    drafts = "drafts of " if draft else ""
    raise Invalid("product", f"No product allows {drafts}requests of type {kind}.")


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
            "params": [sample_values.fill(p) for p in ordering if p["constraints"].get("required")],
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
                    "country_code": "+1",
                    "area_code": "503",
                    "phone_number": "5550100",
                },
            },
        },
    }


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
    distributor = Actor(None, connection.provider)
    if asset is None:
        asset = _approved(creation.create(purchase_body(connection), distributor)).asset
    if "suspended" in statuses and "active" not in statuses:
        _approved(creation.create(body_about("suspend", asset), distributor))
    asset.refresh_from_db()
    return asset


def _approved(request: Request) -> Request:
    """Approve a request as its vendor, and return it."""
    vendor = Actor(None, request.asset.connection.vendor)
    if request.status != "pending":
        raise Invalid("", f"{request.pk} is {request.status}. Only pending requests are approved.")
    values = [
        sample_values.fill(p)
        for p in request.params
        if p["id"] in parameter_values.missing(request.params, "fulfillment")
    ]
    if values:
        editing.edit(request.pk, {"asset": {"params": values}}, vendor)
    approved: Request = transitions.move(Request, request.pk, "approve", vendor, {})
    return approved


# Subscriptions that a preview offers at most, the newest first.
OFFERED = 50
_NOTE = PreviewField("note", "Note", "Order")


def build_preview(request: SampleRequest) -> Preview:
    """Return the body of `POST /requests`; raises Refused."""
    sampling.check_type(request.kind, _types(request.draft))
    return _purchase(request) if request.kind == "purchase" else _about_asset(request)


def _purchase(request: SampleRequest) -> Preview:
    connection = connection_for(request.product, "purchase", request.account, draft=request.draft)
    status = _status("purchase", connection.product, request.draft)
    body = purchase_body(connection) | status
    ordered = connection.product.items.all()[:2]
    entries = [_quantity(n, row.name, row.local_id) for n, row in enumerate(ordered)]
    entries.append(PreviewField("asset.external_id", "External ID", "Order"))
    entries += sampling.company_fields("asset.tiers.customer", "Customer")
    return Preview(
        body,
        Actor(None, connection.provider),
        connection.product,
        (*entries, _NOTE),
        sampling.filled(parameter_values.blank(connection.product)),
        "asset.params",
    )


def _quantity(index: int, name: str, local_id: str, current: str = "") -> PreviewField:
    label = f"{name} (now {current})" if current else name
    path = f"asset.items.{index}.quantity"
    return PreviewField(path, label, "Quantities", "number", required=True, word=local_id)


def _about_asset(request: SampleRequest) -> Preview:
    assets = list(_free(request))
    if not assets:
        statuses = " or ".join(request_types.asset_statuses(request.kind))
        raise Refused(
            "REQ_003",
            f"There is no subscription for a {request.kind} request. It must be {statuses} and "
            "have no open request.",
        )
    asset = sampling.chosen(assets, request.about)
    status = _status(request.kind, asset.product, request.draft)
    body = body_about(request.kind, asset) | status
    counted = [item for item in asset.items if item["item_type"] != "PPU"]
    entries = [
        _quantity(n, item["display_name"], item["id"], item["quantity"])
        for n, item in enumerate(counted if "items" in body["asset"] else [])
    ]
    # Vendors and distributors create adjustments; only distributors create other requests.
    account = request.account if request.kind == "adjustment" else asset.connection.provider
    actor = Actor(None, account)
    fixed = request.kind in ("suspend", "resume", "cancel")
    phases = () if fixed else inquiries.writable(actor)
    return Preview(
        body,
        actor,
        asset.product,
        (*entries, _NOTE),
        tuple(p for p in asset.params if p["phase"] in phases),
        "asset.params",
        "Subscription",
        tuple((row.pk, f"{row.customer.name} · {row.pk}") for row in assets),
        asset.pk,
    )


def _free(request: SampleRequest) -> QuerySet[Asset]:
    """Return the subscriptions of the account that allow a request of the type."""
    rows = sampling.of_product(visibility.assets(request.account), request.product)
    rows = rows.filter(status__in=request_types.asset_statuses(request.kind))
    related = rows.select_related("product", "customer", "connection__provider")
    return related.exclude(requests__status__in=OPEN).order_by("-created", "pk")[:OFFERED]
