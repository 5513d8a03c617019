"""`PUT /requests/{id}`: note and parameters of an open request, and a draft as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from requests_queue import assumptions, clock, topics
from requests_queue.api.fields import Values
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.catalog.parameter_values import Params
from requests_queue.errors import ActionNotAllowed
from requests_queue.queues import transitions
from requests_queue.queues.base import Context
from requests_queue.queues.fulfillment import creation, effects, items
from requests_queue.queues.fulfillment.inputs import RequestUpdate
from requests_queue.queues.fulfillment.models import Request

UPDATE = RequestUpdate()


@transaction.atomic
def edit(pk: str, data: Mapping[str, Any], actor: Actor, *, validates: bool = False) -> None:
    """Change the request by a body, of a PUT or of a validation; raises Refused.

    A PUT needs the capability of the validation, a validation doesn't: the inquiring form works
    without it. The asset of a purchase has no other state than its request's, so it follows.
    """
    row = (
        Request.objects.select_for_update(of=("self",))
        .select_related("asset__connection__provider", "asset__connection__hub", "product")
        .get(pk=pk)
    )
    values = UPDATE.check(data)
    if not validates:
        effects.check_updatable(row)
    context = Context(actor, values, clock.now())
    columns = effects.update(row, context)
    of_asset: dict[str, Any] = {"params": columns["params"]}
    if row.status == "draft" and DISTRIBUTOR in actor.roles_for(row):
        columns |= _order(row, values)
        of_asset |= {k: columns[k] for k in ("items",) if k in columns}
        of_asset |= creation.tiers_of_draft(row, values, context.now)
    effects.check_unique(row.product_id, row.asset_id, columns["params"], row.params)
    if not Request.objects.filter(pk=pk, status=row.status).update(**columns):
        raise ActionNotAllowed(f"{pk} has just been moved by somebody else.")
    if row.type == "purchase":
        effects.set_asset(row, None, context.now, **of_asset)
    topics.announce_objects(row.parties(), pk)
    is_change = row.status != "draft" and not validates
    if is_change and assumptions.value("update_events") == "updated":
        transitions.emit_unchanged(row, context.now)


def _order(row: Request, values: Values) -> dict[str, Any]:
    """Return the items of a draft if the body has any."""
    asset = values.get("asset", {})
    if "items" not in asset:
        return {}
    held = [] if row.type == "purchase" else row.asset.items
    return {"items": items.order_items(row.product, asset["items"], held)}


def write_params(row: Request, params: Params, now: datetime) -> None:
    """Write the parameters of a locked request, and of the asset for a purchase.

    Raises Invalid for a unique value in use.
    """
    effects.check_unique(row.product_id, row.asset_id, params, row.params)
    Request.objects.filter(pk=row.pk).update(params=params, updated=clock.shown(now))
    if row.type == "purchase":
        effects.set_asset(row, None, now, params=params)
    topics.announce_objects(row.parties(), row.pk)
