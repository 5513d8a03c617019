"""Models of billing requests and of the billing of subscriptions."""

from __future__ import annotations

from typing import Any

from django.db import models

from requests_queue.catalog.models import Account, Asset
from requests_queue.queues.base import QueueObject

PROVIDER_TYPE, VENDOR_TYPE = "provider", "vendor"


class SubscriptionBilling(models.Model):
    """The billing period of a subscription and when it ends; created after activation."""

    asset = models.OneToOneField(Asset, models.CASCADE, primary_key=True, related_name="billing")
    # The activation, at which the first period starts.
    started = models.DateTimeField()
    # The end of what has been billed, or need not be billed.
    billed_to = models.DateTimeField()
    # Null, and `period_uom` empty, where no item is billed by the period.
    next_date = models.DateTimeField(null=True)
    period_delta = models.FloatField(default=1)
    period_uom = models.CharField(max_length=16, blank=True)
    anniversary_day = models.IntegerField()
    anniversary_month = models.IntegerField()
    # `updated` of the asset when its items were last processed.
    seen = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["next_date"], name="subscription_billing_next")]

    def __str__(self) -> str:
        return f"{self.asset_id} ({self.period_uom or 'not billed'})"


class BillingRequest(QueueObject):
    """A billing request (`BRP-` of the provider, `BRV-` of the vendor). It has no status.

    `items` have the API's form; `attributes` may have the keys `vendor` and `provider`.
    """

    type = models.CharField(max_length=16)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="billing_requests")
    items = models.JSONField(default=list)
    attributes = models.JSONField(default=dict)
    period_from = models.DateTimeField()
    period_to = models.DateTimeField()
    period_delta = models.FloatField()
    period_uom = models.CharField(max_length=16)

    class Meta(QueueObject.Meta):
        indexes = [
            models.Index(fields=["vendor", "type", "-created", "id"], name="billing_vendor"),
            models.Index(fields=["provider", "-created", "id"], name="billing_provider"),
        ]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def visible_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the requests that an account may see: only providers see requests of providers."""
        if account.is_vendor:
            return cls._default_manager.filter(vendor=account, type=VENDOR_TYPE)
        return cls._default_manager.filter(provider=account)

    def parties(self) -> tuple[str, ...]:
        """Return the ids of the accounts that are notified of this request."""
        return (self.provider_id,) if self.type == PROVIDER_TYPE else super().parties()
