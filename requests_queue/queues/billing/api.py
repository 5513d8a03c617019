"""`/subscriptions/requests` and `/subscriptions/assets`: what Connect serves of billing."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import sales_context, templates, visibility
from requests_queue.catalog.models import Asset
from requests_queue.catalog.rest import Collection, routes
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.billing import creation, effects, parsing, rules
from requests_queue.queues.billing.models import VENDOR_TYPE, BillingRequest
from requests_queue.queues.billing.representations import (
    BILLING_REQUEST,
    SUBSCRIPTION,
    SUBSCRIPTION_DETAIL,
    Attributes,
    with_stats,
)
from requests_queue.queues.fulfillment.representations import pending_requests
from requests_queue.queues.services import Service

_RELATED = ("billing", "customer", "tier1", "tier2")


def _complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests with their subscriptions and where these are sold."""
    related = rows.select_related(*(f"asset__{name}" for name in _RELATED))
    return related.prefetch_related(*sales_context.prefetch("asset__"))


class BillingRequests(QueueCollection):
    """`/subscriptions/requests`: the provider's own are hidden from vendors."""

    documented = Documented(
        "Billing",
        "billing request",
        BILLING_REQUEST,
        answers={"attributes": Answer(200, Attributes)},
    )
    bodies = {
        "create": creation.CREATE,
        "update": parsing.BillingRequestUpdate(),
        "attributes": parsing.AttributesInput(),
    }
    queue = rules.QUEUE
    service = Service(
        complete=_complete, represent=BILLING_REQUEST.represent, create=creation.create
    )
    # Connect has no such calls here.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Replace the caller's attributes: 200; the rest of the body is read-only.

        connect-sdk 22 writes them here, in `attributes` or as a body of their own.
        """
        self.check_visible(pk)
        values = self.body
        effects.set_attributes(pk, values.get("attributes", values), self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["get", "put"])
    def attributes(self, request: HttpRequest, pk: str) -> Response:
        """Read the attributes, or replace the caller's own: 200 with those that it sees."""
        row = self.get_object()
        values = row.attributes
        if request.method == "PUT":
            values = effects.set_attributes(pk, self.body, self.actor)
        return Response({side: values.get(side, {}) for side in effects.SIDES})


class Subscriptions(Collection):
    """`/subscriptions/assets`: subscriptions with what is known of their billing, read-only."""

    documented = Documented(
        "Billing", "recurring subscription", SUBSCRIPTION_DETAIL, listed=SUBSCRIPTION
    )
    related = ("template", *_RELATED)

    def visible(self) -> QuerySet[Asset]:
        """Return the subscriptions of the caller's side."""
        return visibility.assets(self.account)

    def complete(self, rows: QuerySet[Asset]) -> QuerySet[Asset]:
        """Return the subscriptions, each with its open request."""
        shared = *sales_context.prefetch(), templates.prefetch(), pending_requests()
        return super().complete(rows).prefetch_related(*shared)

    def answer(self, row: Asset, status: int = 200) -> Response:
        """Answer with the detail: how often it was billed, as far as the caller may know."""
        made = BillingRequest.visible_to(self.account).filter(asset=row).order_by("created", "pk")
        kinds = (VENDOR_TYPE,) if self.account.is_vendor else creation.TYPES
        return Response(with_stats(row, made, kinds), status=status)


urlpatterns = [
    *queue_routes("subscriptions/requests", BillingRequests),
    *routes("subscriptions/assets", Subscriptions),
]
