"""Models of tier configurations and of the requests about them."""

from __future__ import annotations

from django.db import models

from requests_queue.catalog.models import (
    Connection,
    Contract,
    Marketplace,
    Product,
    Template,
    TierAccount,
)
from requests_queue.queues.base import QueueObject, list_indexes
from requests_queue.queues.fulfillment.models import form_code

STATUSES = ("draft", "tiers_setup", "pending", "inquiring", "approved", "failed")
# Statuses of open requests: a configuration has at most one.
OPEN = ("tiers_setup", "pending", "inquiring")


class TierConfig(models.Model):
    """A reseller's parameters for a product at one level of the tiers (`TC-`).

    `params` have the API's form. Orders wait for the configuration until it is `activated`.
    """

    id = models.CharField(max_length=32, primary_key=True)
    status = models.CharField(max_length=16, default="processing")
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="+")
    marketplace = models.ForeignKey(Marketplace, models.CASCADE, related_name="+")
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="+")
    account = models.ForeignKey(TierAccount, models.CASCADE, related_name="+")
    tier_level = models.SmallIntegerField(default=1)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children"
    )
    params = models.JSONField(default=list)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, blank=True)
    # Requests ever created. Not a count of rows: drafts are deleted, numbers are not reused.
    requests_made = models.IntegerField(default=0)
    activated = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ["-created", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "connection", "marketplace", "tier_level"],
                name="tier_config_one_each",
            )
        ]
        indexes = [models.Index(fields=["connection", "-created"], name="tier_config_line")]

    def __str__(self) -> str:
        return f"{self.pk} ({self.status})"


class TierConfigRequest(QueueObject):
    """A request (`TCR-`) to set up or change a configuration.

    `params` are the request's own values; approval copies them to the configuration.
    """

    type = models.CharField(max_length=16)
    configuration = models.ForeignKey(TierConfig, models.CASCADE, related_name="requests")
    params = models.JSONField(default=list)
    notes = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, blank=True)
    # A text sent instead of a template (connect-sdk's activation tile).
    representation = models.TextField(blank=True)
    effective_date = models.DateTimeField(null=True, blank=True)
    inquired = models.DateTimeField(null=True, blank=True)
    pended = models.DateTimeField(null=True, blank=True)
    previous_approved_request = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    form_code = models.CharField(max_length=32, default=form_code, editable=False)

    class Meta(QueueObject.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["configuration"],
                condition=models.Q(status__in=OPEN),
                name="tier_request_one_open",
            )
        ]
        indexes = list_indexes("tier_request")
