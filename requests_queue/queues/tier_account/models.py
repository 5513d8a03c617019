"""The model of tier account requests."""

from __future__ import annotations

from django.db import models

from requests_queue.catalog.models import TierAccountVersion
from requests_queue.queues.base import QueueObject, list_indexes


class TierAccountRequest(QueueObject):
    """A request (`TAR-`) to accept a version of a tier account for one product."""

    type = models.CharField(max_length=16, default="update")
    account = models.ForeignKey(TierAccountVersion, models.CASCADE, related_name="requests")
    # The account's tiers in subscriptions of the product.
    scopes = models.JSONField(default=list)
    reason = models.CharField(max_length=255, blank=True)

    class Meta(QueueObject.Meta):
        indexes = list_indexes("tar")
