"""Preparations and effects of the actions of tier configuration requests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q

from requests_queue import clock
from requests_queue.catalog import parameter_values as parameters
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.catalog.models import Template
from requests_queue.db.rows import update_columns
from requests_queue.errors import ActionNotAllowed, Conflict, Refused
from requests_queue.queues import inquiries, transitions
from requests_queue.queues.base import Context
from requests_queue.queues.fulfillment import unique_values
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import OPEN, TierConfig, TierConfigRequest


def check_free(config: TierConfig, kind: str) -> None:
    """Check that a request of this type can be opened for a locked configuration.

    Raises ActionNotAllowed if the configuration is set up already or not yet, or Conflict (409)
    where another request is open.
    """
    if twin := config.requests.filter(status__in=OPEN).first():
        raise Conflict(
            "REQ_009",
            f"There is a request {twin.pk} for this configuration already.",
            params={"request_id": twin.pk, "request_status": twin.status},
        )
    if kind == "setup" and config.activated is not None:
        raise ActionNotAllowed(f"{config.pk} is set up already: ask for an update.")
    if kind != "setup" and config.status != "active":
        raise ActionNotAllowed(f"{config.pk} is {config.status}: {kind} is for active ones only.")


def leave_draft(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Return the status of a draft that becomes a request; raises Conflict if one is open."""
    config = setup.lock_with_parent(request.configuration)
    assert config is not None  # It has this request.
    request.configuration = config
    check_free(config, request.type)
    status = setup.start_status(request.configuration, request.params, request.type)
    return {"status": status, **_stamp(status, context.now)}


def start(request: TierConfigRequest, context: Context) -> None:
    """Mark the configuration as processing, and set up the tier above it first."""
    config = request.configuration
    if config.parent is not None and request.status == "tiers_setup":
        setup.add_setup_requests([config.parent], context.now)
    update_columns(config, status="processing", updated=clock.shown(context.now))


def release(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Return the status after the tier above has been set up."""
    status = inquiries.first_status(request.params)
    return {"status": status, **_stamp(status, context.now)}


def inquire(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Check that at least one parameter has an error, and return the inquiry's columns."""
    inquiries.check_inquiry(request.params)
    # Not the template of an earlier inquiry: without one, the default is shown.
    columns: dict[str, Any] = {**_stamp("inquiring", context.now), "template": None}
    if pk := context.data.get("template", {}).get("id"):
        columns["template"] = _template(request, pk)
    return columns


def answer(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Return the parameters with the answers."""
    params = inquiries.answered(request, context, context.data.get("params"), "params")
    check_unique(request.configuration, params, request.params)
    return {"params": params, "template": None, **_stamp("pending", context.now)}


def approve(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Check required fulfillment parameters, and return what the reseller is shown."""
    given = context.data.get("template", {})
    # The document has the date inside the template; other actions beside it.
    moment = context.data.get("effective_date") or given.get("effective_date")
    columns: dict[str, Any] = {"effective_date": moment or clock.shown(context.now)}
    inquiries.check_filled(request.params, "params")
    # Values that the configuration already has are not checked again.
    check_unique(request.configuration, request.params, request.configuration.params)
    if tile := given.get("representation"):
        return columns | {"representation": tile, "template": None}
    return columns | {"template": _template(request, given.get("id"))}


def apply(request: TierConfigRequest, context: Context) -> None:
    """Copy the request's parameters to the configuration, and release what waits for it.

    That is the tier below, and the orders that wait for no other configuration.

    Lock order: see `give_up`.
    """
    config = setup.lock(request.configuration)
    params = inquiries.handed_over(request.params)
    _end(config, context.now, params=params, template=request.template)
    below = _locked_below(config)
    for order in _waiting_orders([config]):
        if not setup.waits_for_setup(order.asset):
            transitions.move(Request, order.pk, "release", Actor())
    for row in below:
        transitions.move(TierConfigRequest, row.pk, "release", Actor())


def give_up(request: TierConfigRequest, context: Context) -> None:
    """Activate the configuration unchanged, and fail the requests that wait for its set-up.

    Lock order: the requests of the tier below are locked first, in the order of the tiers, but
    changed last, because orders are notified before requests like this one.
    """
    config = setup.lock(request.configuration)
    _end(config, context.now)
    if request.type != "setup":
        return
    below = _locked_below(config)
    reason = {"reason": request.reason}
    for order in _waiting_orders([config, *(row.configuration for row in below)]):
        transitions.move(Request, order.pk, "fail", Actor(), reason)
    for row in below:
        transitions.move(TierConfigRequest, row.pk, "fail", Actor(), reason)


def _end(config: TierConfig, now: datetime, **changes: Any) -> None:
    shown = clock.shown(now)
    activated = config.activated or shown
    update_columns(config, status="active", activated=activated, updated=shown, **changes)


def _locked_below(config: TierConfig) -> list[TierConfigRequest]:
    """Return the requests that wait in tiers_setup for this configuration of tier 2, locked."""
    rows = TierConfigRequest.objects.filter(status="tiers_setup", configuration__parent=config)
    locked = rows.select_for_update(of=("self",)).select_related("configuration")
    return list(locked.order_by("pk"))


def check_updatable(request: TierConfigRequest) -> None:
    """Raise Refused unless a PUT can change the request."""
    if request.status not in ("draft", "pending", "inquiring"):
        raise Refused("REQ_003", "Only pending, draft or inquiring tier requests can be updated.")


def update(request: TierConfigRequest, context: Context) -> dict[str, Any]:
    """Return the columns that a PUT changes: notes, and the parameters that the caller may set.

    Vendors set all of them, distributors the ordering ones.
    Raises Refused where the status allows no change.
    """
    check_updatable(request)
    columns: dict[str, Any] = {"updated": clock.shown(context.now)}
    if "notes" in context.data:
        columns["notes"] = context.data["notes"]
    given, phases = context.data.get("params"), inquiries.writable(context.actor)
    orders = context.actor.role == DISTRIBUTOR
    scope = setup.SCOPES[request.configuration.tier_level]
    params = parameters.with_added(request.params, given, request.product, scope)
    columns["params"] = parameters.fill(params, given, phases, "params", anew=orders)
    check_unique(request.configuration, columns["params"], request.params)
    return columns


def check_unique(config: TierConfig, params: parameters.Params, held: parameters.Params) -> None:
    """Check unique values of a configuration that are other than those held; raises Invalid."""
    level = config.tier_level
    configs = TierConfig.objects.filter(product=config.product_id, tier_level=level)
    requests = TierConfigRequest.objects.filter(
        product=config.product_id, configuration__tier_level=level, status__in=(*OPEN, "draft")
    )
    holders = [configs.exclude(pk=config.pk), requests.exclude(configuration=config.pk)]
    scope = setup.SCOPES[level]
    unique_values.check(config.product_id, scope, params, holders, "params", held)


def _stamp(status: str, now: datetime) -> dict[str, Any]:
    column = {"pending": "pended", "inquiring": "inquired"}.get(status)
    return {column: clock.shown(now)} if column else {}


def _template(request: TierConfigRequest, pk: str | None) -> Template:
    scope = setup.SCOPES[request.configuration.tier_level]
    return inquiries.template(request.product_id, scope, pk, "template.id")


def _waiting_orders(configs: Iterable[TierConfig]) -> list[Request]:
    """Return the locked orders that wait for the set-up of one of these configurations.

    An order is locked before it is checked for other setups, so that of two setups that end at
    the same time the later one sees the result of the earlier.
    """
    of_configs = Q(pk__in=())
    for config in configs:
        of_configs |= Q(
            asset__connection=config.connection_id,
            asset__marketplace=config.marketplace_id,
            **{f"asset__{setup.SCOPES[config.tier_level]}": config.account_id},
        )
    rows = Request.objects.select_for_update(of=("self",)).select_related("asset")
    return list(rows.filter(of_configs, status="tiers_setup").order_by("created", "pk"))
