"""Release and failure of orders in `tiers_setup` when the setup of a configuration ends.

An order is locked before it is checked for other setups, so that of two setups that end at the
same time the later one sees the result of the earlier.
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
    """Release the orders that waited for this configuration and wait for no other one."""
    for order in _orders([config]):
        if not setup.waits_for_setup(order.asset):
            transitions.move(Request, order.pk, "release", Actor())


def fail(configs: Iterable[TierConfig], reason: str) -> None:
    """Fail the orders that waited for one of these configurations."""
    for order in _orders(configs):
        transitions.move(Request, order.pk, "fail", Actor(), {"reason": reason})


def _orders(configs: Iterable[TierConfig]) -> list[Request]:
    of_configs = Q(pk__in=())
    for config in configs:
        of_configs |= Q(
            asset__connection=config.connection_id,
            asset__marketplace=config.marketplace_id,
            **{f"asset__{setup.SCOPES[config.tier_level]}": config.account_id},
        )
    rows = Request.objects.select_for_update(of=("self",)).select_related("asset")
    return list(rows.filter(of_configs, status="tiers_setup").order_by("created", "pk"))
