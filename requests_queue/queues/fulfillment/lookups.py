"""Lookup of the objects that an order names, and of an earlier request that it repeats."""

from __future__ import annotations

from requests_queue.api.fields import Values
from requests_queue.catalog import preview, templates, visibility
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import (
    Asset,
    Connection,
    Contract,
    Marketplace,
    Product,
)
from requests_queue.db.rows import get_named, get_row
from requests_queue.errors import Conflict, Invalid, Refused
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.queues.inquiries import form_url


def connection(given: Values, actor: Actor) -> Connection:
    """Return the connection of an order, one of the caller's account; raises Invalid."""
    connection_id = given.get("connection")
    if actor.role == VENDOR and connection_id == preview.CONNECTION:
        return preview.connection_of(_preview_product(given, actor))
    rows = visibility.connections(actor.account)
    rows = rows.select_related("product", "provider", "vendor", "hub")
    row = get_named(rows, connection_id, "asset.connection.id", "Connection")
    product_id = given.get("product")
    if product_id and product_id != row.product_id:
        raise Invalid(
            "asset.product.id", f"Connection {connection_id} is not of product {product_id}."
        )
    return row


def _preview_product(given: Values, actor: Actor) -> Product:
    """Return the vendor's product that a preview order names, directly or by its items.

    Raises Invalid where it names none and the vendor has several.
    """
    products = Product.objects.select_related("owner").filter(owner=actor.account)
    if pk := given.get("product"):
        return get_named(products, pk, "asset.product.id", "Product")
    names = [line.get(key) for line in given.get("items", ()) for key in ("id", "global_id")]
    rows = list(products.filter(items__in=[pk for pk in names if pk]).distinct()[:2])
    rows = rows or list(products.order_by("pk")[:2])
    if len(rows) != 1:
        raise Invalid("asset.product.id", "This field is required.")
    return rows[0]


def marketplace(
    data: Values, given: Values, connection: Connection
) -> tuple[Marketplace, Contract]:
    """Return the marketplace of an order and the contract of its listing."""
    if preview.is_preview(connection):
        contract = preview.contract()
        return contract.marketplace, contract
    contracts = Contract.objects.select_related("marketplace").filter(
        provider=connection.provider_id,
        listings__product=connection.product_id,
        listings__status="listed",
    )
    if pk := data.get("marketplace") or given.get("marketplace"):
        contracts = contracts.filter(marketplace=pk)
    found = contracts.order_by("listings__pk").first()
    if found is None:
        raise Refused("VAL_001", "There is no Listing for specified Product and Marketplace.")
    return found.marketplace, found


def asset(given: Values, actor: Actor) -> Asset:
    """Return the locked asset that an order is about; raises Invalid or Missing."""
    asset_id = given.get("id")
    if asset_id is None:
        raise Invalid("asset.id", "This field is required.")
    # The lock keeps the asset's status, and the count of requests for the next id, until commit.
    rows = Asset.objects.select_for_update(of=("self",)).select_related(
        "product", "connection", "marketplace", "contract"
    )
    return get_row(rows.filter(**visibility.party(actor.account, "connection__")), asset_id)


def by_uid(connection: Connection, uid: str) -> Request | None:
    """Return the latest request of the asset that has this external uid."""
    return (
        Request.objects.filter(asset__connection=connection, asset__external_uid=uid)
        .order_by("-pk")
        .first()
    )


def duplicate_of(given: Values, actor: Actor) -> Request | None:
    """Return the request that an order repeats, by its asset or external uid."""
    rows = Request.objects.filter(**visibility.party(actor.account))
    if pk := given.get("id"):
        return rows.filter(asset=pk, status__in=OPEN).first()
    uid = given.get("external_uid")
    return rows.filter(asset__external_uid=uid).order_by("-pk").first() if uid else None


def conflict(existing: Request) -> Conflict:
    """Return the error (409) that describes the existing request, for the caller to continue."""
    product = existing.asset.product
    template = templates.shown(existing.status, existing.template, product, "asset")
    return Conflict(
        "REQ_009",
        f"There is already a request {existing.pk} for this subscription.",
        params={
            "request_id": existing.pk,
            "request_status": existing.status,
            "asset_id": existing.asset_id,
            "asset_status": existing.asset.status,
            "template": {"id": template.pk} if template else None,
            "params_form_url": form_url(existing),
            "fail_message": existing.reason,
        },
    )
