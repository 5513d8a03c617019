"""`PUT /requests/{id}`: note and parameters of an open request, and a draft as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog.actors import DISTRIBUTOR, Actor
from requests_queue.errors import ActionNotAllowed
from requests_queue.queues.base import Context
from requests_queue.queues.fulfillment import creation, effects, items
from requests_queue.queues.fulfillment.models import Request


def edit(pk: str, data: Mapping[str, Any], actor: Actor) -> None:
    """Change the request by a body; raises Refused.

    The asset of a purchase has no other state than its request's, so it follows.
    """
    with transaction.atomic():
        row = (
            Request.objects.select_for_update(of=("self",))
            .select_related("asset__connection__provider", "asset__connection__hub", "product")
            .get(pk=pk)
        )
        context = Context(actor, data, clock.now())
        columns = effects.update(row, context)
        of_asset: dict[str, Any] = {"params": columns["params"]}
        if row.status == "draft" and DISTRIBUTOR in actor.roles_for(row):
            columns |= _order(row, data)
            of_asset |= {k: columns[k] for k in ("items",) if k in columns}
            of_asset |= creation.tiers_of_draft(row, data, context.now)
        effects.check_unique(row.product_id, row.asset_id, columns["params"], row.params)
        if not Request.objects.filter(pk=pk, status=row.status).update(**columns):
            raise ActionNotAllowed(f"{pk} has just been moved by somebody else.")
        if row.type == "purchase":
            effects.set_asset(row, None, context.now, **of_asset)


def _order(row: Request, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items of a draft, where the body has any."""
    given = data.get("asset")
    wanted = given.get("items") if isinstance(given, Mapping) else None
    if wanted is None:
        return {}
    held = [] if row.type == "purchase" else row.asset.items
    return {"items": items.ordered(row.product, wanted, held)}
