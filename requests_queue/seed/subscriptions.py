"""Subscriptions and requests created from the tables of `orders.py`.

The rows are written in their final state, without the queue's actions, so that demo data causes
no events for webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from requests_queue import clock, ids
from requests_queue.catalog import parameter_values
from requests_queue.catalog.models import Asset, TierAccount, User
from requests_queue.errors import Invalid
from requests_queue.queues.fulfillment import effects, items
from requests_queue.queues.fulfillment.models import Request
from requests_queue.seed.accounts import VENDOR_USER
from requests_queue.seed.orders import SUBSCRIPTIONS, Step, Subscription
from requests_queue.seed.rows import Offer, add_missing, filled, moment, offers

# Statuses that a request reaches without the vendor.
_UNASSIGNED = ("draft", "tiers_setup", "pending")


def add_subscriptions(at: datetime) -> dict[str, int]:
    """Add missing subscriptions, each with all its requests or not at all.

    Requests of existing subscriptions are left alone. A subscription whose product or customer
    the user has changed or deleted is skipped.
    """
    stored = Asset.objects.filter(pk__in=[row.id for row in SUBSCRIPTIONS])
    existing = set(stored.values_list("pk", flat=True))
    by_product = offers({row.product for row in SUBSCRIPTIONS})
    params = {pk: parameter_values.blank(offer.product) for pk, offer in by_product.items()}
    tiers = TierAccount.objects.in_bulk({pk for row in SUBSCRIPTIONS for pk in _tiers(row)})
    user = User.objects.filter(uid=VENDOR_USER).first()
    missing: dict[Asset, list[Request]] = {}
    for row in SUBSCRIPTIONS:
        offer = by_product.get(row.product)
        if row.id in existing or offer is None or not _tiers(row) <= tiers.keys():
            continue
        asset = _asset(row, offer, tiers, at)
        asset.params = params[row.product]
        if requests := _requests(asset, row, offer, user, at):
            missing[asset] = requests
    add_missing(list(missing))
    # Not inserted where a subscription of the user has the same external uid.
    added = set(stored.values_list("pk", flat=True)) - existing
    requests = [each for asset in missing if asset.pk in added for each in missing[asset]]
    return {"subscriptions": len(added), "requests": add_missing(requests)}


def _tiers(row: Subscription) -> set[str]:
    return {row.customer, row.tier1, row.tier2 or row.tier1}


def _asset(
    row: Subscription, offer: Offer, tiers: Mapping[str, TierAccount], at: datetime
) -> Asset:
    """Return the asset before its first request."""
    return Asset(
        id=row.id,
        external_id=row.external_id,
        external_uid=row.external_uid,
        product=offer.product,
        connection=offer.connection,
        marketplace=offer.contract.marketplace,
        contract=offer.contract,
        customer=tiers[row.customer],
        tier1=tiers[row.tier1],
        tier2=tiers[row.tier2] if row.tier2 else None,
        items=[],
        created=moment(at, -row.steps[0].days),
        updated=moment(at, -row.steps[0].days),
    )


def _requests(
    asset: Asset, row: Subscription, offer: Offer, user: User | None, at: datetime
) -> list[Request]:
    """Return the requests and apply them to the asset; none where the product does not fit."""
    requests: list[Request] = []
    try:
        for step in row.steps:
            request = _request(asset, step, requests, at)
            _assign(request, offer, user)
            _apply(asset, request)
            requests.append(request)
    except Invalid:
        return []
    return requests


def _request(asset: Asset, step: Step, before: list[Request], at: datetime) -> Request:
    created = moment(at, -step.days)
    return Request(
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


def _items(asset: Asset, step: Step) -> items.Items:
    if not step.items:
        return [{**row, "old_quantity": row["quantity"]} for row in asset.items]
    ordered = [{"id": name, "quantity": quantity} for name, quantity in step.items.items()]
    return items.order_items(asset.product, ordered, asset.items)


def _assign(request: Request, offer: Offer, user: User | None) -> None:
    """Set the assignee, the template and the date of approval of a request."""
    # Requests that failed at creation have no assignee.
    if request.status not in _UNASSIGNED and request.updated > request.created:
        request.assignee = user
    kind = {"approved": "fulfillment", "inquiring": "inquire"}.get(request.status)
    if kind is None:
        return
    request.template = offer.template("asset", kind)
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
