"""The declaration of the validation of fulfillment requests."""

from __future__ import annotations

from datetime import datetime

from requests_queue import clock
from requests_queue.catalog.parameter_values import Params
from requests_queue.queues import validation
from requests_queue.queues.fulfillment import editing, effects, queries, rules, texts
from requests_queue.queues.fulfillment.models import Request


def write(row: Request, params: Params, now: datetime) -> None:
    """Write the parameters of a locked request, and of the asset for a purchase.

    Raises Invalid for a unique value in use.
    """
    effects.check_unique(row.product_id, row.asset_id, params, row.params)
    Request.objects.filter(pk=row.pk).update(params=params, updated=clock.shown(now))
    if row.type == "purchase":
        effects.set_asset(row, None, now, params=params)


def customers(row: Request) -> list[tuple[str, str]]:
    """Return the customer and the reseller of a request, with their labels."""
    return [("Customer", row.asset.customer.name), ("Reseller", row.asset.tier1.name)]


VALIDATED = validation.register(
    validation.Validated(
        queue=rules.QUEUE,
        edit=editing.edit,
        shown=queries.shown,
        write=write,
        paths=(("asset", "params"),),
        customers=customers,
        text=lambda pk: texts.of_request(queries.get(pk)),
    )
)
