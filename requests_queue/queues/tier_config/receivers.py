"""What the fulfillment queue asks and tells, passed on to what begins a set-up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from requests_queue.catalog.models import Asset
from requests_queue.queues.tier_config import setup
from requests_queue.signals import before_order_start, queue_changed
from requests_queue.transitions import Change


@receiver(before_order_start)
def on_order_starting(asset: Asset, now: datetime, **kwargs: Any) -> bool:
    """Hold an order whose resellers aren't set up.

    The configurations stay locked to the end of the order's transaction: a set-up that ends
    meanwhile sees the order among those that wait.
    """
    return any(config.activated is None for config in setup.of_asset(asset, now))


@receiver(queue_changed)
def on_queue_changed(change: Change, **kwargs: Any) -> None:
    """Begin what an order waits for, once the order is there.

    `on_order_starting` has locked it in this transaction; locks taken here would come too late.
    """
    if change.object_class != "fulfillment_request" or change.status_to != "tiers_setup":
        return
    asset = Asset.objects.select_related("product").get(requests=change.object_id)
    configs = setup.named_by(asset).filter(tier_level__in=setup.levels(asset.product))
    setup.begin(list(configs), change.at)
