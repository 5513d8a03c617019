"""Which webhooks and objects the conditions of waits, and filters of deliveries, may name."""

from __future__ import annotations

from functools import cache
from typing import get_args

from requests_queue.catalog.models import Asset
from requests_queue.catalog.schema import AssetStatus
from requests_queue.queues import base
from sandbox.timeline import timeline
from sandbox.waits.conditions import ObjectKind
from webhooks.models import Webhook

_SUBSCRIPTION = ObjectKind(
    get_args(AssetStatus), final=frozenset({"terminated"}), has_deliveries=False
)


class KnownIds:
    """The ids of one request, each looked up once."""

    def __init__(self) -> None:
        self.has_webhook = cache(_has_webhook)
        self.kind_of = cache(_kind_of)


def _has_webhook(pk: str) -> bool:
    """Return whether there is a webhook, or was one since the last reset."""
    if Webhook.with_deleted.filter(pk=pk).exists():
        return True
    entries = timeline.between(timeline.last_reset(), timeline.now())
    return entries.filter(webhook_id=pk).exists()


def _kind_of(pk: str) -> ObjectKind | None:
    if found := base.find_object(pk):
        queue, _ = found
        return ObjectKind(queue.status_names, queue.final)
    return _SUBSCRIPTION if Asset.objects.filter(pk=pk).exists() else None
