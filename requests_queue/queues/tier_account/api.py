"""`/tier/account-requests`: what Connect serves of the tier account queue."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.tier_account import creation, rules
from requests_queue.queues.tier_account.representations import TIER_ACCOUNT_REQUEST
from requests_queue.schema import Documented


class TierAccountRequests(QueueCollection):
    """`/tier/account-requests`: for both parties; distributors create, vendors decide."""

    documented = Documented("Tiers", "tier account request", TIER_ACCOUNT_REQUEST)
    bodies = {"create": creation.BODY}
    queue = rules.QUEUE
    related = (
        *TIER_ACCOUNT_REQUEST.related, "account__account__owner", "account__hub", "account__parent",
    )  # fmt: skip
    # Connect has no such calls here.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def create(self, request: Request) -> Response:
        """Change a tier account: 201 with the request that this makes, 400 or 403.

        Of several, each for a product, one that a vendor has to decide comes first.
        """
        rows = creation.create(self.data, self.actor)
        first = min(rows, key=lambda row: (row.status != "pending", row.pk))
        return self.answer(self.get_queryset().get(pk=first.pk), 201)


urlpatterns = queue_routes("tier/account-requests", TierAccountRequests)
