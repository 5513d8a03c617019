"""The rows of billing: a request by Connect's names, and what a subscription's periods are."""

from __future__ import annotations

from typing import Any

from django.db import models

from requests_queue.catalog.models import Account, Asset
from requests_queue.queues.base import QueueObject

PROVIDER_TYPE, VENDOR_TYPE = "provider", "vendor"


class SubscriptionBilling(models.Model):
    """When a subscription is billed next, and for how long; made from its activation."""

    asset = models.OneToOneField(Asset, models.CASCADE, primary_key=True, related_name="billing")
    # The activation, which all periods count from.
    started = models.DateTimeField()
    # Until when it has been billed, or needn't be.
    billed_to = models.DateTimeField()
    # Null, as `period_uom` is empty, where no item is paid by the month or the year.
    next_date = models.DateTimeField(null=True)
    period_delta = models.FloatField(default=1)
    period_uom = models.CharField(max_length=16, blank=True)
    anniversary_day = models.IntegerField()
    anniversary_month = models.IntegerField()
    # `updated` of the asset when its items were last looked at.
    seen = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["next_date"], name="subscription_billing_next")]

    def __str__(self) -> str:
        return f"{self.asset_id} ({self.period_uom or 'not billed'})"


class BillingRequest(QueueObject):
    """A billing request (`BRP-` of the provider, `BRV-` of the vendor). It has no status.

    `items` are as the API shows them; `attributes` hold `vendor` and `provider` where given.
    """

    type = models.CharField(max_length=16)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="billing_requests")
    items = models.JSONField(default=list)
    attributes = models.JSONField(default=dict)
    period_from = models.DateTimeField()
    period_to = models.DateTimeField()
    period_delta = models.FloatField()
    period_uom = models.CharField(max_length=16)

    class Meta:
        ordering = ["-created", "id"]
        indexes = [
            models.Index(fields=["vendor", "type", "-created", "id"], name="billing_vendor"),
            models.Index(fields=["provider", "-created", "id"], name="billing_provider"),
        ]

    def __str__(self) -> str:
        return self.pk

    @classmethod
    def visible_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the requests that an account may see: the provider's own are not the vendor's."""
        if account.is_vendor:
            return cls._default_manager.filter(vendor=account, type=VENDOR_TYPE)
        return cls._default_manager.filter(provider=account)

    def parties(self) -> tuple[str, ...]:
        """Return the ids of the accounts that are told of this request."""
        if self.type == PROVIDER_TYPE:
            return (self.provider_id,)
        return super().parties()
