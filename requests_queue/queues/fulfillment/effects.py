"""Preparations and effects of the actions of fulfillment requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from requests_queue import assumptions, clock
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import DISTRIBUTOR
from requests_queue.catalog.models import Asset, Template
from requests_queue.db.rows import update_columns
from requests_queue.errors import Invalid, MissedField, Refused
from requests_queue.queues import inquiries
from requests_queue.queues.base import Context
from requests_queue.queues.fulfillment import request_types, unique_values
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.signals import before_order_start

# The asset status that each type sets: on create, on approve, on fail.  None: unchanged.
ASSET_STATUS: dict[str, tuple[str | None, str | None, str | None]] = {
    "purchase": ("processing", "active", "terminated"),
    "change": (None, "active", "active"),
    "adjustment": (None, None, None),
    "renew": (None, "active", "active"),
    "transfer": (None, "active", "active"),
    "suspend": (None, "suspended", "active"),
    "resume": (None, "active", "suspended"),
    "cancel": ("terminating", "terminated", "active"),
}
HANDS_OVER = ("purchase", "change", "adjustment", "renew", "transfer")
# Types that may have to wait for the set-up of resellers.
HELD = ("purchase", "change", "renew", "transfer")


def start_status(kind: str, asset: Asset, params: parameters.Params, now: datetime) -> str:
    """Return the first status of an order: tiers_setup while something else must be set up first.

    The receiver that holds it ends that by `release` or `fail`.
    """
    if kind in HELD and any(
        held for _, held in before_order_start.send(sender=Asset, asset=asset, now=now)
    ):
        return "tiers_setup"
    return inquiries.first_status(params)


def leave_draft(request: Request, context: Context) -> dict[str, Any]:
    """Return the status of a draft that becomes an order."""
    return {"status": start_status(request.type, request.asset, request.params, context.now)}


def release(request: Request, context: Context) -> dict[str, Any]:
    """Return the status after what had to be set up first."""
    return {"status": inquiries.first_status(request.params)}


def start(request: Request, context: Context) -> None:
    """Update the asset of a request that became an order."""
    set_asset(request, ASSET_STATUS[request.type][0], context.now)


def inquire(request: Request, context: Context) -> dict[str, Any]:
    """Check that at least one parameter has an error, and return the inquiry's columns."""
    inquiries.check_inquiry(request.params)
    pk, tile = context.data.get("template_id"), context.data.get("activation_tile", "")
    # Resets an earlier inquiry: without a template, the default one is shown.
    return {
        "answered": False,
        "template": None if pk is None else _template(request, pk),
        "activation_key": tile,
    }


def answer(request: Request, context: Context) -> dict[str, Any]:
    """Return the parameters with the answers."""
    given = context.data.get("asset", {}).get("params")
    params = inquiries.answered(request, context, given, "asset.params")
    check_unique(request.product_id, request.asset_id, params, request.params)
    return {"answered": True, "params": params, "template": None, "activation_key": ""}


def approve(request: Request, context: Context) -> dict[str, Any]:
    """Check required fulfillment parameters, and return what the customer is shown."""
    columns: dict[str, Any] = {
        "effective_date": context.data.get("effective_date") or clock.shown(context.now)
    }
    pk, tile = context.data.get("template_id"), context.data.get("activation_tile", "")
    if request.type in HANDS_OVER:
        inquiries.check_filled(request.params, "asset.params")
        # Values that the asset already has are not checked again.
        held = [] if request.type == "purchase" else request.asset.params
        check_unique(request.product_id, request.asset_id, request.params, held)
    if tile:
        return columns | {"template": None, "activation_key": tile}
    template = _template(request, pk)
    return columns | {"template": template, "activation_key": template.body}


def hand_over(request: Request, context: Context) -> None:
    """Copy items, parameters and template of the approved request to the asset."""
    changes: dict[str, Any] = {}
    if request.type in HANDS_OVER:
        changes["params"] = inquiries.handed_over(request.params)
        changes["items"] = [{**i, "old_quantity": i["quantity"]} for i in request.items]
    if request.template_id and request.type in HANDS_OVER:
        changes["template"] = request.template
    set_asset(request, ASSET_STATUS[request.type][1], context.now, **changes)


def give_back(request: Request, context: Context) -> None:
    """Restore the asset's status; terminate an asset that was never active."""
    status = ASSET_STATUS[request.type][2]
    if request.type == "cancel":
        # Nothing else suspends a subscription that can be canceled.
        holds = request.asset.requests.filter(type__in=("suspend", "resume"), status="approved")
        last = holds.order_by("-pk").values_list("type", flat=True).first()
        status = "suspended" if last == "suspend" else status
    set_asset(request, status, context.now)


def schedule(request: Request, context: Context) -> dict[str, Any]:
    """Check that the date is in the future, and return it."""
    planned = context.data.get("planned_date")
    if planned is None:
        raise MissedField("planned_date")
    if planned <= context.now:
        raise Invalid("planned_date", "The date is in the past.")
    return {"planned_date": planned}


def unschedule(request: Request, context: Context) -> dict[str, Any]:
    """Clear the planned date."""
    return {"planned_date": None}


def set_asset(request: Request, status: str | None, now: datetime, **changes: Any) -> None:
    """Update the asset of a request."""
    if status is not None:
        changes["status"] = status
    update_columns(request.asset, **changes, updated=clock.shown(now))


def update(request: Request, context: Context) -> dict[str, Any]:
    """Return the columns that a body changes: note, and parameters that the caller may set.

    Vendors set all of them, distributors the ordering ones.
    """
    columns: dict[str, Any] = {"updated": clock.shown(context.now)}
    names = ("note", "external_attributes")
    columns |= {name: context.data[name] for name in names if name in context.data}
    given, phases = context.data.get("asset", {}).get("params"), inquiries.writable(context.actor)
    orders = context.actor.role == DISTRIBUTOR
    params = parameters.with_added(request.params, given, request.product, "asset")
    columns["params"] = parameters.fill(params, given, phases, anew=orders)
    return columns


def check_updatable(request: Request) -> None:
    """Raise Refused unless a PUT can change the request.

    A draft and an inquiry are changed where the product has the capability to validate them.
    """
    if request.status == "pending":
        return
    if request.status in ("draft", "inquiring"):
        if assumptions.value("request_updates") == "any":
            return
        names = request_types.validation_capabilities(request.type, request.status)
        if any(request.product.capability(name) for name in names):
            return
    raise Refused(
        assumptions.value("update_code"),
        "Only pending, draft or inquiring Fulfillments with enabled validation capability can be "
        "updated",
    )


def check_unique(
    product_id: str, asset_id: str | None, params: parameters.Params, held: parameters.Params
) -> None:
    """Check unique values of a subscription (None: a new one) that are other than those held.

    Raises Invalid. Call it last before the write: see `unique_values.check` for the locks.
    """

    def holders() -> Iterator[QuerySet[Any]]:
        assets = Asset.objects.filter(product=product_id).exclude(status="terminated")
        yield assets.exclude(pk=asset_id)
        requests = Request.objects.filter(product=product_id, status__in=OPEN)
        yield requests.exclude(asset=asset_id)

    unique_values.check(product_id, "asset", params, holders(), "asset.params", held)


def _template(request: Request, pk: str | None) -> Template:
    return inquiries.template(request.product_id, "asset", pk, "template_id")
