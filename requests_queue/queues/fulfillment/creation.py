"""Creation of fulfillment requests: a purchase with its new asset, or another type on an asset.

Each object is inserted in its final status, so each creation is one queue change; with
`created_status=pending`, it is inserted as pending and moved on at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from requests_queue import assumptions, clock, ids
from requests_queue.api.fields import Values
from requests_queue.catalog import parameter_values, preview, tiers
from requests_queue.catalog.actors import VENDOR, Actor
from requests_queue.catalog.models import Asset, Connection, Product, TierAccount
from requests_queue.errors import Forbidden, Invalid, Refused
from requests_queue.queues import inquiries, transitions
from requests_queue.queues.fulfillment import effects, items, lookups, request_types
from requests_queue.queues.fulfillment.inputs import RequestInput
from requests_queue.queues.fulfillment.models import OPEN, Request

CREATE = RequestInput()
_MOVED_ON = ("tiers_setup", "inquiring")
NO_HOLD = "The product doesn't support suspend/resume operations."


def create(data: Mapping[str, Any], actor: Actor) -> Request:
    """Create the request of a `POST /requests` body and return it.

    Raises Invalid, Forbidden, or Conflict (409) where Connect has such a request already.
    """
    if data.get("type") in request_types.TYPES and not _names_preview(data):
        # Before the body is checked: a vendor gets 403 even with an invalid body.
        _check_creator(data["type"], actor, vendor=actor.account)
    values = CREATE.check(data)
    asset = values["asset"]
    try:
        return _create(values, asset, actor)
    except IntegrityError:
        # A concurrent call created the same order.
        if existing := lookups.duplicate_of(asset, actor):
            raise lookups.conflict(existing) from None
    # Otherwise a concurrent request created the same customer, which is found this time.
    return _create(values, asset, actor)


def _names_preview(data: Mapping[str, Any]) -> bool:
    """Whether an unchecked body names the connection of the preview environment."""
    asset = data.get("asset")
    connection = asset.get("connection") if isinstance(asset, Mapping) else None
    return isinstance(connection, Mapping) and connection.get("id") == preview.CONNECTION


@transitions.atomic()
def _create(values: Values, asset: Values, actor: Actor) -> Request:
    if values["type"] == "purchase":
        return _purchase(values, asset, actor, clock.now())
    return _on_asset(values["type"], values, asset, actor, clock.now())


def _check_creator(kind: str, actor: Actor, **connection: Any) -> None:
    """Raise Forbidden for a vendor, except for adjustments and in its preview environment.

    That is where a connection with these columns is a preview.
    """
    if actor.role != VENDOR or kind == "adjustment":
        return
    if not Connection.objects.filter(type="preview", **connection).exists():
        raise Forbidden(f"A request of type {kind} is created by the distributor.")


def _purchase(data: Values, given: Values, actor: Actor, now: datetime) -> Request:
    connection = lookups.connection(given, actor)
    _check_creator("purchase", actor, pk=connection.pk)
    uid, external_id = given.get("external_uid", ""), given.get("external_id", "")
    if uid and (twin := lookups.by_uid(connection, uid)):
        raise lookups.conflict(twin)
    product = connection.product
    marketplace, contract = lookups.marketplace(data, given, connection)
    shown = clock.shown(now)

    found = named_tiers(given, connection, now)
    for name in ("customer", "tier1"):
        if found.get(name) is None:
            raise Invalid(f"asset.tiers.{name}", "This field is required.")
    wanted = parameter_values.fill(
        parameter_values.blank(product), given.get("params"), ("ordering",)
    )
    order = items.order_items(product, given.get("items"), [])
    effects.check_unique(product.pk, None, wanted, [])
    draft = _is_draft("purchase", data, product)
    asset = ids.create(
        Asset(
            status="draft" if draft else "processing",
            external_id=external_id,
            external_uid=uid,
            product=product,
            connection=connection,
            marketplace=marketplace,
            contract=contract,
            **found,
            items=order,
            params=wanted,
            created=shown,
            updated=shown,
        ),
        "asset",
    )
    status = "draft" if draft else effects.start_status("purchase", asset, wanted, now)
    return _add(asset, "purchase", status, data, actor, now, items=order, params=wanted)


def _on_asset(kind: str, data: Values, given: Values, actor: Actor, now: datetime) -> Request:
    asset = lookups.asset(given, actor)
    _check_creator(kind, actor, pk=asset.connection_id)
    twin = asset.requests.filter(status__in=OPEN).first()
    if twin is not None:
        raise lookups.conflict(twin)
    if asset.status not in request_types.asset_statuses(kind):
        raise Refused(
            "REQ_003", f"Request type {kind} is not allowed when asset state is {asset.status}"
        )
    capability = request_types.TYPE_CAPABILITY.get(kind)
    if capability and not asset.product.capability(capability):
        raise Refused("REQ_003", f"The product doesn't support {kind} operations.")
    if kind == "change" and "items" not in given and not given.get("params"):
        raise Invalid("asset.items", "This list may not be empty.")
    if "items" in given and kind in ("change", "renew", "transfer"):
        order = items.order_items(asset.product, given["items"], asset.items)
    else:
        order = [{**row, "old_quantity": row["quantity"]} for row in asset.items]
    phases = () if kind in ("suspend", "resume", "cancel") else inquiries.writable(actor)
    # Nothing has been asked yet about the new request.
    held = parameter_values.without_errors(asset.params)
    wanted = parameter_values.fill(held, given.get("params"), phases)
    if kind == "change" and items.is_unchanged(order) and wanted == held:
        raise Invalid("asset.items", "Item quantities are not changed.")
    effects.check_unique(asset.product_id, asset.pk, wanted, held)
    if kind in ("suspend", "resume") and not asset.product.capability("subscription.hold"):
        return _add(asset, kind, "failed", data, actor, now, order, wanted, reason=NO_HOLD)
    draft = _is_draft(kind, data, asset.product)
    status = "draft" if draft else effects.start_status(kind, asset, wanted, now)
    if kind in ("suspend", "resume", "cancel"):
        status = "pending"
    request = _add(asset, kind, status, data, actor, now, order, wanted)
    if not draft:
        effects.set_asset(request, effects.ASSET_STATUS[kind][0], now)
    return request


def _is_draft(kind: str, data: Values, product: Product) -> bool:
    capability = request_types.DRAFT_CAPABILITY.get(kind)
    return data.get("status") == "draft" and bool(capability and product.capability(capability))


def _add(
    asset: Asset,
    kind: str,
    status: str,
    data: Values,
    actor: Actor,
    now: datetime,
    items: items.Items,
    params: parameter_values.Params,
    reason: str = "",
) -> Request:
    shown = clock.shown(now)
    # A purchase is the first request of a new asset.
    pk, approved = ids.child(asset.pk, "PR-", 1), None
    if kind != "purchase":
        pk = ids.next_in(Request, asset.pk, "PR-", asset.requests.count())
        approved = asset.requests.filter(status="approved").order_by("-pk").first()
    request = Request(
        pk=pk,
        status=status,
        type=kind,
        asset=asset,
        product=asset.product,
        vendor_id=asset.connection.vendor_id,
        provider_id=asset.connection.provider_id,
        marketplace=asset.marketplace,
        contract=asset.contract,
        note=data.get("note", ""),
        reason=reason,
        external_attributes=data.get("external_attributes", {}),
        items=items,
        params=params,
        planned_date=data.get("planned_date"),
        previous_approved_request=approved,
        created=shown,
        updated=shown,
    )
    is_moved_on = assumptions.value("created_status") == "pending" and status in _MOVED_ON
    transitions.add(request, actor, first="pending" if is_moved_on else "")
    return request


def named_tiers(
    given: Values, connection: Connection, now: datetime
) -> dict[str, TierAccount | None]:
    """Return the tier accounts of an order, found or created; an empty tier is None."""
    named = given.get("tiers")
    if named is None:
        raise Invalid("asset.tiers", "This field is required.", "required")
    return {
        name: tiers.find_or_create(
            named.get(name),
            kind=kind,
            owner=connection.provider,
            hub=connection.hub,
            path=f"asset.tiers.{name}",
            now=now,
        )
        for name, kind in (("customer", "customer"), ("tier1", "reseller"), ("tier2", "reseller"))
    }


def tiers_of_draft(request: Request, data: Values, now: datetime) -> dict[str, TierAccount]:
    """Return the tiers in a new body of a draft purchase."""
    given = data.get("asset", {})
    if request.type != "purchase" or "tiers" not in given:
        return {}
    found = named_tiers(given, request.asset.connection, now)
    return {name: row for name, row in found.items() if row is not None}
