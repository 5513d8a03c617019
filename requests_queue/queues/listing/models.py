"""The model of listing requests."""

from __future__ import annotations

from typing import Any

from django.db import models

from requests_queue.catalog.models import Account, Listing, User
from requests_queue.queues.base import QueueObject, list_indexes

# Statuses of open requests: a listing has at most one. Drafts are not open.
OPEN = ("reviewing", "deploying")


class ListingRequest(QueueObject):
    """A request (`LSTR-`) about a listing. The API calls `status` `state`.

    Vendor and provider are those of the listing's contract.
    """

    type = models.CharField(max_length=16)
    listing = models.ForeignKey(Listing, models.CASCADE, related_name="requests")
    creator = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    note = models.TextField(blank=True)
    # Whether the distributor has ever got it: a refined request is a draft again.
    submitted = models.BooleanField(default=False, editable=False)

    class Meta(QueueObject.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["listing"],
                condition=models.Q(status__in=OPEN),
                name="listing_request_one_open",
            )
        ]
        indexes = list_indexes("listing_request")

    @classmethod
    def listed_to(cls, account: Account) -> models.QuerySet[Any]:
        """Return the requests in an account's lists: a distributor's have what was submitted.

        The vendor's have also the drafts that it hasn't submitted, and those that it canceled.
        """
        rows = cls.visible_to(account)
        return rows if account.is_vendor else rows.filter(submitted=True)
