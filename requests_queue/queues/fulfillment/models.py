"""The model of fulfillment requests."""

from __future__ import annotations

import secrets

from django.db import models

from requests_queue.catalog.models import Asset, Contract, Marketplace, Template
from requests_queue.queues.base import QueueObject, list_indexes

OPEN = ("draft", "tiers_setup", "pending", "inquiring", "scheduled", "revoking")


def form_code() -> str:
    """Return the secret code in the link to an inquiring form."""
    return secrets.token_hex(16)


class Request(QueueObject):
    """A request (`PR-`) about an asset.

    `items` and `params` are the request's own copies of the asset's, in the API's form; approval
    copies them to the asset.
    """

    type = models.CharField(max_length=16)
    asset = models.ForeignKey(Asset, models.CASCADE, related_name="requests")
    marketplace = models.ForeignKey(Marketplace, models.CASCADE, related_name="+")
    contract = models.ForeignKey(Contract, models.CASCADE, related_name="+")
    note = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    answered = models.BooleanField(default=False)
    activation_key = models.TextField(blank=True)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, blank=True)
    external_attributes = models.JSONField(default=dict)
    items = models.JSONField(default=list)
    params = models.JSONField(default=list)
    planned_date = models.DateTimeField(null=True, blank=True)
    effective_date = models.DateTimeField(null=True, blank=True)
    previous_approved_request = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    form_code = models.CharField(max_length=32, default=form_code, editable=False)

    class Meta(QueueObject.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["asset"],
                condition=models.Q(status__in=OPEN),
                name="request_one_open_per_asset",
            )
        ]
        indexes = [
            *list_indexes("request"),
            models.Index(
                fields=["planned_date"],
                name="request_planned",
                condition=models.Q(status="scheduled"),
            ),
        ]
