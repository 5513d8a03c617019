"""Receivers of the fulfillment queue's signals: an order waits for the setup of its tiers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from requests_queue.catalog.models import Asset
from requests_queue.queues.tier_config import setup
from requests_queue.queues.transitions import Change
from requests_queue.signals import before_order_start, queue_changed


@receiver(before_order_start)
def on_order_starting(asset: Asset, now: datetime, **kwargs: Any) -> bool:
    """Return whether an order must wait for the setup of its resellers.

    The configurations stay locked until the order's transaction ends, so that a setup that ends
    meanwhile sees the waiting order.
    """
    configs = setup.find_or_create(asset, {1: asset.tier1, 2: asset.tier2}, now)
    return any(config.activated is None for config in configs)


@receiver(queue_changed)
def on_queue_changed(change: Change, **kwargs: Any) -> None:
    """Create the setup requests that a new order waits for.

    `on_order_starting` has locked the configurations in this transaction already; locks taken
    here would come too late.
    """
    if change.object_class != "fulfillment_request" or change.status_to != "tiers_setup":
        return
    asset = Asset.objects.select_related("product").get(requests=change.object_id)
    configs = setup.configs_of_tiers(asset).filter(tier_level__in=setup.levels(asset.product))
    setup.add_setup_requests(list(configs), change.at)
