"""Subscriptions and requests created from the tables of `orders.py`.

The rows are written in their final state, without the queue's actions, so that demo data causes
no events for webhooks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from requests_queue import clock, ids
from requests_queue.catalog import parameter_values
from requests_queue.catalog.models import (
    Asset,
    Connection,
    Contract,
    Listing,
    Product,
    Template,
    TierAccount,
    User,
)
from requests_queue.errors import Invalid
from requests_queue.queues.fulfillment import effects, items
from requests_queue.queues.fulfillment.models import Request
from requests_queue.seed.accounts import VENDOR_USER
from requests_queue.seed.orders import SUBSCRIPTIONS, Step, Subscription
from requests_queue.seed.rows import add_missing, filled, moment

# Statuses that a request reaches without the vendor.
_UNASSIGNED = ("draft", "tiers_setup", "pending")


def add_subscriptions(at: datetime) -> dict[str, int]:
    """Add missing subscriptions, each with all its requests or not at all.

    Requests of existing subscriptions are left alone. A subscription whose product or customer
    the user has changed or deleted is skipped.
    """
    added = {"subscriptions": 0, "requests": 0}
    existing = set(
        Asset.objects.filter(pk__in=[row.id for row in SUBSCRIPTIONS]).values_list("pk", flat=True)
    )
    for row in SUBSCRIPTIONS:
        if row.id in existing:
            continue
        asset = _asset(row, at)
        requests = asset and _requests(asset, row, at)
        if not asset or not requests:
            continue
        add_missing([asset])
        # Not inserted where a subscription of the user has the same external uid.
        if Asset.objects.filter(pk=asset.pk).exists():
            added["subscriptions"] += 1
            added["requests"] += add_missing(requests)
    return added


def _asset(row: Subscription, at: datetime) -> Asset | None:
    """Return the asset before its first request, None where an object it needs is missing."""
    product = Product.objects.filter(pk=row.product).first()
    connection = Connection.objects.filter(product=row.product).order_by("pk").first()
    listing = Listing.objects.filter(product=row.product).order_by("pk").first()
    tiers = TierAccount.objects.in_bulk([row.customer, row.tier1, *filter(None, [row.tier2])])
    if not product or not connection or not listing:
        return None
    if not {row.customer, row.tier1, row.tier2 or row.tier1} <= set(tiers):
        return None
    contract = Contract.objects.select_related("marketplace").get(pk=listing.contract_id)
    return Asset(
        id=row.id,
        external_id=row.external_id,
        external_uid=row.external_uid,
        product=product,
        connection=connection,
        marketplace=contract.marketplace,
        contract=contract,
        customer=tiers[row.customer],
        tier1=tiers[row.tier1],
        tier2=tiers[row.tier2] if row.tier2 else None,
        items=[],
        params=parameter_values.blank(product),
        created=moment(at, -row.steps[0].days),
        updated=moment(at, -row.steps[0].days),
    )


def _requests(asset: Asset, row: Subscription, at: datetime) -> list[Request]:
    """Return the requests and apply them to the asset; none where the product does not fit."""
    requests: list[Request] = []
    try:
        for step in row.steps:
            requests.append(_request(asset, step, requests, at))
            _apply(asset, requests[-1])
    except Invalid:
        return []
    return requests


def _request(asset: Asset, step: Step, before: list[Request], at: datetime) -> Request:
    created = moment(at, -step.days)
    request = Request(
        pk=ids.child(asset.pk, "PR-", len(before) + 1),
        status=step.status,
        type=step.type,
        asset=asset,
        product=asset.product,
        vendor_id=asset.connection.vendor_id,
        provider_id=asset.connection.provider_id,
        marketplace=asset.marketplace,
        contract=asset.contract,
        note=step.note,
        reason=step.reason,
        items=_items(asset, step),
        params=filled(asset.params, step.params, step.errors),
        planned_date=None if step.planned is None else moment(at, step.planned),
        previous_approved_request=next((r for r in before[::-1] if r.status == "approved"), None),
        created=created,
        updated=clock.shown(created + timedelta(hours=step.hours)),
    )
    _assign(request)
    return request


def _items(asset: Asset, step: Step) -> items.Items:
    if not step.items:
        return [{**row, "old_quantity": row["quantity"]} for row in asset.items]
    ordered = [{"id": name, "quantity": quantity} for name, quantity in step.items.items()]
    return items.order_items(asset.product, ordered, asset.items)


def _assign(request: Request) -> None:
    """Set the assignee, the template and the date of approval of a request."""
    # Requests that failed at creation have no assignee.
    if request.status not in _UNASSIGNED and request.updated > request.created:
        request.assignee = User.objects.filter(uid=VENDOR_USER).first()
    kind = {"approved": "fulfillment", "inquiring": "inquire"}.get(request.status)
    if kind is None:
        return
    request.template = Template.objects.filter(
        product=request.product_id, scope="asset", type=kind
    ).first()
    if request.status == "approved":
        request.effective_date = request.updated
        request.activation_key = request.template.body if request.template else ""


def _apply(asset: Asset, request: Request) -> None:
    """Apply a request to its asset, as the functions of `effects` do."""
    asset.updated = request.updated
    phase = {"approved": 1, "failed": 2, "revoked": 2}.get(request.status, 0)
    status = effects.ASSET_STATUS[request.type][phase]
    if request.status == "draft":
        status = "draft" if request.type == "purchase" else None
    asset.status = status or asset.status
    if request.type == "purchase":
        asset.items, asset.params = request.items, request.params
    if request.status == "approved" and request.type in effects.HANDS_OVER:
        asset.items = [{**i, "old_quantity": i["quantity"]} for i in request.items]
        asset.params = [{**p, "value_error": ""} for p in request.params]
        asset.template = request.template
