"""`/tier/account-requests`: what Connect serves of the tier account queue."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.filtering import ConnectFilters, filters, parts
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.tier_account import creation, representations, rules, schema
from requests_queue.queues.tier_account.models import TierAccountRequest


class TierAccountRequestFilters(ConnectFilters):
    """What tier account requests can be filtered and ordered by."""

    MODEL = TierAccountRequest
    FILTERS = [
        *filters(
            "id", "status", "type", "reason", ("product.id", "product__id"),
            ("product.name", "product__name"), ("account.id", "account__account__id"),
            ("account.external_id", "account__external_id"),
            ("account.external_uid", "account__external_uid"), ("account.name", "account__name"),
            ("account.type", "account__type"), ("account.version", "account__version"),
            ("account.environment", "account__environment"),
            ("account.hub.id", "account__hub__id"), ("account.hub.name", "account__hub__name"),
            ("vendor.id", "vendor__id"), ("vendor.name", "vendor__name"),
            ("provider.id", "provider__id"), ("provider.name", "provider__name"),
            ("events.created.at", "created"), ("events.updated.at", "updated"),
            search=("id",),
        ),
        *parts("account", "account.contact_info", "product", "vendor", "provider", "events"),
    ]  # fmt: skip


class TierAccountRequests(QueueCollection):
    """`/tier/account-requests`: for both parties; distributors create, vendors decide."""

    documented = schema.TIER_ACCOUNT_REQUESTS
    queue = rules.QUEUE
    related = (
        "account__account__owner", "account__hub", "account__parent", "product", "vendor",
        "provider",
    )  # fmt: skip
    represent = staticmethod(representations.request)
    rql_filter_class = TierAccountRequestFilters
    # Connect has no such calls here.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def create(self, request: Request) -> Response:
        """Change a tier account: 201 with the request that this makes, 400 or 403.

        Of several, each for a product, one that a vendor has to decide comes first.
        """
        rows = creation.create(self.body, self.actor)
        first = min(rows, key=lambda row: (row.status != "pending", row.pk))
        return self.answer(self.get_queryset().get(pk=first.pk), 201)


urlpatterns = queue_routes("tier/account-requests", TierAccountRequests)
