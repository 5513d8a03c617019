"""The rows of tier configurations and of the requests about them, by Connect's names."""

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
# Statuses in which a request is worked on: one at a time for each configuration.
OPEN = ("tiers_setup", "pending", "inquiring")


class TierConfig(models.Model):
    """What a reseller is for a product (`TC-`): its parameters, at its level of the tiers.

    `params` are the values in force, in the shape of the API; `activated` says since when
    orders need not wait for it.
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
    # The number of the latest request: drafts are deleted, and numbers aren't given twice.
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
    """A request (`TCR-`) to set a configuration up, or to change it. `params` are this
    request's own values; approval hands them to the configuration."""

    type = models.CharField(max_length=16)
    configuration = models.ForeignKey(TierConfig, models.CASCADE, related_name="requests")
    params = models.JSONField(default=list)
    notes = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, blank=True)
    # A text that was given in place of a template (connect-sdk's activation tile).
    representation = models.TextField(blank=True)
    effective_date = models.DateTimeField(null=True, blank=True)
    inquired = models.DateTimeField(null=True, blank=True)
    pended = models.DateTimeField(null=True, blank=True)
    previous_approved_request = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    form_code = models.CharField(max_length=32, default=form_code, editable=False)

    class Meta:
        ordering = ["-created", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["configuration"],
                condition=models.Q(status__in=OPEN),
                name="tier_request_one_open",
            )
        ]
        indexes = list_indexes("tier_request")
