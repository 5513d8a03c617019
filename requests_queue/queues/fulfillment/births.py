"""How a fulfillment request comes to be: a purchase with its new asset, or another type on one.

An object is born in the state that it ends up in, so each birth is one queue change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from requests_queue import clock, ids, transitions
from requests_queue.catalog import tiers
from requests_queue.catalog.models import (
    Asset,
    Connection,
    Contract,
    Listing,
    Marketplace,
)
from requests_queue.errors import Conflict, Forbidden, Invalid, Missing, Refused
from requests_queue.queues.base import DISTRIBUTOR, VENDOR, Actor
from requests_queue.queues.fulfillment import effects, items, params, rules
from requests_queue.queues.fulfillment.models import OPEN, Request

NO_HOLD = "The product doesn't support suspend/resume operations."


def create(data: Mapping[str, Any], actor: Actor) -> Request:
    """Create the request of a `POST /requests` body and return it.

    Raises Invalid, Forbidden, or Conflict (409) where Connect has such a request already.
    """
    kind = data.get("type")
    if kind not in rules.TYPES:
        raise Invalid(f'type: "{kind}" is not a valid choice.')
    if actor.role == VENDOR and kind != "adjustment":
        raise Forbidden(f"A request of type {kind} is created by the distributor.")
    asset = data.get("asset")
    if not isinstance(asset, Mapping):
        raise Invalid("asset: This field is required.")
    try:
        with transaction.atomic():
            if kind == "purchase":
                return _purchase(data, asset, actor, clock.now())
            return _on_asset(kind, data, asset, actor, clock.now())
    except IntegrityError:
        # Somebody else was faster with the same order: answer as if it had come first.
        twin = _twin(asset, actor)
        if twin is None:
            raise
        raise conflict(twin) from None


def _purchase(
    data: Mapping[str, Any], given: Mapping[str, Any], actor: Actor, now: datetime
) -> Request:
    connection = _connection(given, actor)
    uid = str(given.get("external_uid") or "")
    if uid and (twin := _by_uid(connection, uid)):
        raise conflict(twin)
    product = connection.product
    marketplace, contract = _marketplace(data, given, connection)
    shown = clock.shown(now)

    def tier(name: str, kind: str) -> Any:
        return tiers.find_or_make(
            _tiers(given).get(name), kind=kind, owner=connection.provider, hub=connection.hub,
            path=f"asset.tiers.{name}", now=now,
        )  # fmt: skip

    customer, tier1, tier2 = (
        tier("customer", "customer"),
        tier("tier1", "reseller"),
        tier("tier2", "reseller"),
    )
    for name, found in (("customer", customer), ("tier1", tier1)):
        if found is None:
            raise Invalid(f"asset.tiers.{name}: This field is required.")
    wanted = params.fill(params.blank(product), given.get("params"), ("ordering",))
    order = items.ordered(product, given.get("items"), [])
    draft = data.get("status") == "draft" and bool(
        product.capability(rules.DRAFT_CAPABILITY["purchase"])
    )
    status = "draft" if draft else effects.birth_status(wanted)
    asset = ids.create(
        lambda pk: Asset(
            pk=pk,
            status="draft" if draft else "processing",
            external_id=_text(given, "external_id"),
            external_uid=uid,
            product=product,
            connection=connection,
            marketplace=marketplace,
            contract=contract,
            customer=customer,
            tier1=tier1,
            tier2=tier2,
            items=order,
            params=wanted,
            created=shown,
            updated=shown,
        ),
        "asset",
    )
    return _add(asset, "purchase", status, data, actor, now, items=order, params=wanted)


def _on_asset(
    kind: str, data: Mapping[str, Any], given: Mapping[str, Any], actor: Actor, now: datetime
) -> Request:
    asset = _asset(given, actor)
    twin = asset.requests.filter(status__in=OPEN).first()
    if twin is not None:
        raise conflict(twin)
    if asset.status not in rules.NEEDS_ASSET[kind]:
        raise Refused(
            "REQ_003", f"Request type {kind} is not allowed when asset state is {asset.status}"
        )
    capability = rules.TYPE_CAPABILITY.get(kind)
    if capability and not asset.product.capability(capability):
        raise Refused("REQ_003", f"The product doesn't support {kind} operations.")
    held = [{**row, "old_quantity": row["quantity"]} for row in asset.items]
    order = (
        items.ordered(asset.product, given["items"], asset.items) if _orders(kind, given) else held
    )
    wanted = params.fill(asset.params, given.get("params"), _writable(kind, actor))
    if kind == "change" and items.is_unchanged(order) and wanted == asset.params:
        raise Invalid("asset.items: Item quantities are not changed.")
    if kind in ("suspend", "resume") and not asset.product.capability("subscription.hold"):
        return _add(asset, kind, "failed", data, actor, now, order, wanted, reason=NO_HOLD)
    draft = data.get("status") == "draft" and bool(
        asset.product.capability(rules.DRAFT_CAPABILITY.get(kind, "-"))
    )
    status = "draft" if draft else effects.birth_status(wanted)
    if kind in ("suspend", "resume", "cancel"):
        status = "pending"
    request = _add(asset, kind, status, data, actor, now, order, wanted)
    if not draft:
        effects.set_asset(request, effects.ASSET_STATUS[kind][0], now)
    return request


def _orders(kind: str, given: Mapping[str, Any]) -> bool:
    if kind == "change" and "items" not in given and not given.get("params"):
        raise Invalid("asset.items: This list may not be empty.")
    return "items" in given and kind in ("change", "renew", "transfer")


def _writable(kind: str, actor: Actor) -> tuple[str, ...]:
    if kind in ("suspend", "resume", "cancel"):
        return ()
    return ("ordering",) if actor.role == DISTRIBUTOR else ("ordering", "fulfillment")


def _add(
    asset: Asset,
    kind: str,
    status: str,
    data: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    items: items.Items,
    params: params.Params,
    reason: str = "",
) -> Request:
    shown = clock.shown(now)
    request = Request(
        pk=ids.next_in(asset.pk, "PR-", asset.requests.count()),
        status=status,
        type=kind,
        asset=asset,
        product=asset.product,
        vendor_id=asset.connection.vendor_id,
        provider_id=asset.connection.provider_id,
        marketplace=asset.marketplace,
        contract=asset.contract,
        note=_text(data, "note"),
        reason=reason,
        external_attributes=data.get("external_attributes") or {},
        items=items,
        params=params,
        planned_date=effects.date(data, "planned_date"),
        previous_approved_request=asset.requests.filter(status="approved").order_by("-pk").first(),
        created=shown,
        updated=shown,
    )
    transitions.add(request)
    return request


def _connection(given: Mapping[str, Any], actor: Actor) -> Connection:
    wanted = given.get("connection")
    connection_id = wanted.get("id") if isinstance(wanted, Mapping) else None
    if not isinstance(connection_id, str):
        raise Invalid("asset.connection.id: This field is required.")
    mine = Connection.objects.select_related("product", "provider", "vendor", "hub").filter(
        provider=actor.account
    )
    found = mine.filter(pk=connection_id).first()
    if found is None:
        raise Invalid(f"asset.connection.id: Connection {connection_id} does not exist.")
    product = given.get("product")
    product_id = product.get("id") if isinstance(product, Mapping) else None
    if product_id and product_id != found.product_id:
        raise Invalid(
            f"asset.product.id: Connection {connection_id} is not of product {product_id}."
        )
    return found


def _marketplace(
    data: Mapping[str, Any], given: Mapping[str, Any], connection: Connection
) -> tuple[Marketplace, Contract]:
    """Return the marketplace of an order and the contract of its listing."""
    wanted = data.get("marketplace") or given.get("marketplace")
    listings = Listing.objects.select_related("contract__marketplace").filter(
        product=connection.product_id, status="listed", contract__provider=connection.provider_id
    )
    if isinstance(wanted, Mapping) and wanted.get("id"):
        listings = listings.filter(contract__marketplace=str(wanted["id"]))
    listing = listings.first()
    if listing is None:
        raise Refused("VAL_001", "There is no Listing for specified Product and Marketplace.")
    return listing.contract.marketplace, listing.contract


def _asset(given: Mapping[str, Any], actor: Actor) -> Asset:
    asset_id = given.get("id")
    if not isinstance(asset_id, str):
        raise Invalid("asset.id: This field is required.")
    side = "vendor" if actor.role == VENDOR else "provider"
    # The lock makes the count behind the request's number, and the status, hold until commit.
    asset = (
        Asset.objects.select_for_update(of=("self",))
        .select_related("product", "connection", "marketplace", "contract")
        .filter(pk=asset_id, **{f"connection__{side}": actor.account})
        .first()
    )
    if asset is None:
        raise Missing(asset_id)
    return asset


def _tiers(given: Mapping[str, Any]) -> Mapping[str, Any]:
    found = given.get("tiers")
    if not isinstance(found, Mapping):
        raise Invalid("asset.tiers: This field is required.")
    return found


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, (dict, list)):
        raise Invalid(f"{name}: Not a valid string.")
    text = "" if value is None else str(value)
    if len(text) > 100 and name.startswith("external"):
        raise Invalid(f"asset.{name}: Ensure this field has no more than 100 characters.")
    return text


def _by_uid(connection: Connection, uid: str) -> Request | None:
    return (
        Request.objects.filter(asset__connection=connection, asset__external_uid=uid)
        .order_by("-pk")
        .first()
    )


def _twin(given: Mapping[str, Any], actor: Actor) -> Request | None:
    rows = Request.objects.filter(provider=actor.account)
    if given.get("id"):
        return rows.filter(asset=str(given["id"]), status__in=OPEN).first()
    uid = str(given.get("external_uid") or "")
    return rows.filter(asset__external_uid=uid).order_by("-pk").first() if uid else None


def conflict(twin: Request) -> Conflict:
    """Return the 409 that says which request Connect has, so that the caller can go on with it."""
    return Conflict(
        "REQ_009",
        f"There is a request {twin.pk} for this subscription already.",
        params={
            "request_id": twin.pk,
            "request_status": twin.status,
            "asset_id": twin.asset_id,
            "asset_status": twin.asset.status,
            "template": {"id": twin.template_id} if twin.template_id else None,
            "params_form_url": effects.form_url(twin),
            "fail_message": twin.reason,
        },
    )
