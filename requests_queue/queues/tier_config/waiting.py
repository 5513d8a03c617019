"""Orders in tiers_setup, seen from the configurations that they wait for.

An order's row is locked before it is decided whether it still waits for another one, so that
of two set-ups that end at the same time the later one sees the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from requests_queue import transitions
from requests_queue.catalog.actors import Actor
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.tier_config import setup
from requests_queue.queues.tier_config.models import TierConfig


def release(config: TierConfig) -> None:
    """Let the orders go on that waited for this configuration, and for no other any more."""
    for order in _orders([config]):
        if not setup.is_held(order.asset):
            transitions.move(Request, order.pk, "release", Actor())


def fail(configs: Iterable[TierConfig], reason: str) -> None:
    """Fail the orders that waited for one of these configurations."""
    for order in _orders(configs):
        transitions.move(Request, order.pk, "fail", Actor(), {"reason": reason})


def _orders(configs: Iterable[TierConfig]) -> list[Request]:
    theirs = Q(pk__in=())
    for config in configs:
        theirs |= Q(
            asset__connection=config.connection_id,
            asset__marketplace=config.marketplace_id,
            **{f"asset__{setup.SCOPES[config.tier_level]}": config.account_id},
        )
    rows = Request.objects.select_for_update(of=("self",)).select_related("asset")
    return list(rows.filter(theirs, status="tiers_setup").order_by("created", "pk"))
