"""`/subscriptions/requests` and `/subscriptions/assets`: what Connect serves of billing."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Prefetch, Q, QuerySet
from django.db.models.expressions import RawSQL
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.catalog import sales_context, templates
from requests_queue.catalog.models import Asset
from requests_queue.filtering import ConnectFilters, filters, inside_json, parts
from requests_queue.inside_json import any_element
from requests_queue.queues.api import QueueCollection, queue_routes
from requests_queue.queues.billing import creation, effects, parsing, representations, rules, schema
from requests_queue.queues.billing.models import VENDOR_TYPE, BillingRequest
from requests_queue.queues.fulfillment.models import OPEN, Request
from requests_queue.rest import Collection, routes

_RELATED = ("billing", "customer", "tier1", "tier2")

# A parameter's name is its title here.
_KEYS = {"id": "id", "name": "title", "value": "value"}


def _asset_filters(prefix: str) -> list[Any]:
    """Return the filters of a subscription, under a prefix of names."""
    route = prefix.replace(".", "__")
    names = (
        "id", "status", "external_id", "external_uid", "product.id", "product.name",
        "connection.type", "connection.provider.id", "connection.provider.name",
        "connection.vendor.id", "connection.vendor.name", "connection.hub.id",
        "connection.hub.name", "marketplace.id", "marketplace.name", "contract.id",
    )  # fmt: skip
    tiers = [
        (f"tiers.{tier}.{name}", f"{tier}__{name}")
        for tier in ("customer", "tier1", "tier2")
        for name in ("id", "name", "external_id", "external_uid")
    ]
    billing = (("billing.next_date", "billing__next_date"),
               ("billing.period.uom", "billing__period_uom"))  # fmt: skip
    connection = ("connection.id", "connection__public_id")
    rows = [connection, *((name, name.replace(".", "__")) for name in names), *tiers, *billing]
    found = filters(*((f"{prefix}{name}", f"{route}{source}") for name, source in rows))
    return [*found, *inside_json(*(f"{prefix}params.{name}" for name in _KEYS))]


def _params(data: Any) -> Q:
    """Return the condition on subscriptions that one of their parameters is as asked."""
    return any_element(Asset, "params", _KEYS[data.filter_name.rpartition(".")[2]], data)


class BillingRequestFilters(ConnectFilters):
    """What billing requests can be filtered and ordered by."""

    MODEL = BillingRequest
    FILTERS = [
        *filters(
            "id", "type", ("events.created.at", "created"), ("events.updated.at", "updated"),
            ("period.from", "period_from"), ("period.to", "period_to"),
            ("period.uom", "period_uom"), ("period.delta", "period_delta"), search=("id",),
        ),
        *_asset_filters("asset."),
        *parts("asset", "asset.params", "asset.tiers.customer", "asset.tiers.tier1",
               "asset.tiers.tier2", "asset.billing", "asset.events", "items", "attributes",
               "period", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters of the subscription.

        Its condition names its table, so it stays a query of its own, which the ORM doesn't
        rename.
        """
        found = Asset.objects.filter(_params(data)).order_by().values("pk")
        sql, values = found.query.sql_with_params()
        table = BillingRequest._meta.db_table
        return Q(RawSQL(f'"{table}"."asset_id" IN ({sql})', values, output_field=BooleanField()))


class SubscriptionFilters(ConnectFilters):
    """What subscriptions can be filtered and ordered by, their billing included."""

    MODEL = Asset
    FILTERS = [
        *_asset_filters(""),
        *filters(("events.created.at", "created"), ("events.updated.at", "updated"),
                 ("template.id", "template__id"), ("template.name", "template__name")),
        *parts("items", "params", "tiers.customer", "tiers.tier1", "tiers.tier2", "billing",
               "template", "pending_request", "pending_request.template", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters."""
        return _params(data)


class BillingRequests(QueueCollection):
    """`/subscriptions/requests`: the provider's own are hidden from vendors."""

    documented = schema.BILLING_REQUESTS
    bodies = {
        "create": creation.CREATE, "update": parsing.BillingRequestUpdate(),
        "attributes": parsing.AttributesInput(),
    }  # fmt: skip
    queue = rules.QUEUE
    related = tuple(f"asset__{name}" for name in _RELATED)
    represent = staticmethod(representations.request)
    rql_filter_class = BillingRequestFilters
    # Connect has no such calls here.
    assign = None  # type: ignore[assignment]
    unassign = None  # type: ignore[assignment]

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the requests with where their subscriptions were sold."""
        return super().complete(rows).prefetch_related(*sales_context.prefetch("asset__"))

    def create(self, request: HttpRequest) -> Response:
        """Create a request of the caller's type: 201, 400 or 403."""
        row = creation.create(self.data, self.actor)
        return self.answer(self.get_queryset().get(pk=row.pk), 201)

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Replace the caller's attributes: 200; the rest of the body is read-only.

        connect-sdk 22 writes them here, in `attributes` or as a body of their own.
        """
        self.get_object()
        values = self.body
        effects.set_attributes(pk, values.get("attributes", values), self.actor)
        return self.answer(self.get_object())

    @action(detail=True, methods=["get", "put"])
    def attributes(self, request: HttpRequest, pk: str) -> Response:
        """Read the attributes, or replace the caller's own: 200 with those that it sees."""
        row = self.get_object()
        if request.method == "GET":
            return Response(representations.attributes(row.attributes))
        return Response(
            representations.attributes(effects.set_attributes(pk, self.body, self.actor))
        )


class Subscriptions(Collection):
    """`/subscriptions/assets`: subscriptions with what is known of their billing, read-only."""

    documented = schema.RECURRING_ASSETS
    related = ("template", *_RELATED)
    represent = staticmethod(representations.subscription)
    rql_filter_class = SubscriptionFilters

    def visible(self) -> QuerySet[Asset]:
        """Return the subscriptions of the caller's side."""
        side = "vendor" if self.account.is_vendor else "provider"
        return Asset.objects.filter(**{f"connection__{side}": self.account})

    def complete(self, rows: QuerySet[Asset]) -> QuerySet[Asset]:
        """Return the subscriptions, each with its open request."""
        pending = Request.objects.filter(status__in=OPEN).select_related("template")
        opened = Prefetch("requests", pending, to_attr="open_requests")
        return (
            super()
            .complete(rows)
            .prefetch_related(*sales_context.prefetch(), templates.prefetch(), opened)
        )

    def answer(self, row: Asset, status: int = 200) -> Response:
        """Answer with the detail: how often it was billed, as far as the caller may know."""
        made = BillingRequest.visible_to(self.account).filter(asset=row).order_by("created", "pk")
        kinds = (VENDOR_TYPE,) if self.account.is_vendor else creation.TYPES
        return Response(representations.counted(row, made, kinds), status=status)


urlpatterns = [
    *queue_routes("subscriptions/requests", BillingRequests),
    *routes("subscriptions/assets", Subscriptions),
]
