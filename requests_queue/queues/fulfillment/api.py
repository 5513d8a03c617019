"""`/requests` and `/assets`: what Connect serves of the fulfillment queue."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.catalog import configured_values, sales_context, templates
from requests_queue.catalog.models import Asset, Template
from requests_queue.errors import Invalid, Missing
from requests_queue.filtering import ConnectFilters, computed, filters, inside_json, parts
from requests_queue.inside_json import any_element
from requests_queue.queues.api import ValidatedCollection, queue_routes
from requests_queue.queues.fulfillment import (
    creation,
    editing,
    queries,
    representations,
    rules,
    schema,
    texts,
    validation,
)
from requests_queue.queues.fulfillment.models import Request
from requests_queue.rest import Collection, markdown, routes

_TIER = (
    "id", "version", "name", "type", "external_id", "external_uid", "tax_id", "environment",
    "contact_info",
)  # fmt: skip


def _asset_filters(prefix: str, route: str, own: tuple[str, ...] = ()) -> list[Any]:
    """Return the filters of an asset, under a prefix of names and of ORM routes.

    `own` relations are those that the filtered row itself has, always the same as its asset's.
    """

    def reached(source: str) -> str:
        return _pk(source if source.partition("__")[0] in own else f"{route}{source}")

    names = {
        "id": "pk",
        "status": "status",
        "external_id": "external_id",
        "external_uid": "external_uid",
        "product.id": "product",
        "product.name": "product__name",
        "connection.id": "connection__public_id",
        "connection.type": "connection__type",
        "connection.provider.id": "connection__provider",
        "connection.provider.name": "connection__provider__name",
        "connection.vendor.id": "connection__vendor",
        "connection.vendor.name": "connection__vendor__name",
        "connection.hub.id": "connection__hub",
        "connection.hub.name": "connection__hub__name",
        "marketplace.id": "marketplace",
        "marketplace.name": "marketplace__name",
        "contract.id": "contract",
        "tiers.customer.id": "customer",
        "tiers.customer.name": "customer__name",
        "tiers.customer.external_id": "customer__external_id",
        "tiers.customer.external_uid": "customer__external_uid",
        "tiers.tier1.id": "tier1",
        "tiers.tier2.id": "tier2",
    }
    return filters(*((f"{prefix}{name}", reached(source)) for name, source in names.items()))


def _pk(source: str) -> str:
    """Return the route of an id: django-rql wants a column rather than a relation."""
    relations = ("product", "connection", "marketplace", "contract", "customer", "tier1", "tier2",
                 "provider", "vendor", "hub")  # fmt: skip
    last = source.rpartition("__")[2]
    return f"{source}__id" if last in relations else source.replace("pk", "id")


class RequestFilters(ConnectFilters):
    """What requests can be filtered and ordered by."""

    MODEL = Request
    FILTERS = [
        *filters(
            "id", "type", "status", "created", "updated", "note", "reason", "planned_date",
            "effective_date", "answered",
            ("product_id", "product__id"), ("asset_id", "asset__id"),
            ("assignee.id", "assignee__uid"), ("assignee.email", "assignee__email"),
            ("marketplace.id", "marketplace__id"), ("marketplace.name", "marketplace__name"),
            ("contract.id", "contract__id"),
            search=("id",),
        ),
        *_asset_filters("asset.", "asset__", own=("product",)),
        *filters(("asset.connection.environment", "asset__connection__type"),
                 ("asset.tier1_id", "asset__tier1__id"), ("asset.tier2_id", "asset__tier2__id"),
                 ("asset.account_id", "asset__customer__id"),
                 ("asset.hub.id", "asset__connection__hub__id"),
                 ("asset.hub.name", "asset__connection__hub__name")),
        computed("template.id", "template_shown", TextField()),
        *inside_json("asset.params.id", "asset.params.value"),
        *parts("assignee", "activation_key", "external_attributes", "template", "asset.items",
               "asset.params", "asset.tiers.customer", "asset.tiers.tier1", "asset.tiers.tier2",
               "asset.configuration", "asset.configuration.params", "asset.events",
               "params_form_url", "previous_approved_request"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters."""
        return any_element(Request, "params", data.filter_name.rpartition(".")[2], data)


class AssetFilters(ConnectFilters):
    """What subscriptions can be filtered and ordered by."""

    MODEL = Asset
    FILTERS = [
        *_asset_filters("", ""),
        *filters("created", "updated", ("events.created.at", "created"),
                 ("events.updated.at", "updated"), ("template.id", "template__id"),
                 ("hub.id", "connection__hub__id"), ("hub.name", "connection__hub__name"),
                 ("product.title", "product__name")),
        *inside_json("params.id", "params.value"),
        *parts("items", "params", "tiers.customer", "tiers.tier1", "tiers.tier2",
               "configuration", "configuration.params", "template"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Look into the parameters."""
        return any_element(Asset, "params", data.filter_name.rpartition(".")[2], data)


_COLUMNS = (
    "id", "type", "status", "note", "reason", "created", "updated", "answered", "activation_key",
    "external_attributes", "items", "params", "planned_date", "effective_date", "form_code",
    "previous_approved_request",
    "assignee__uid", "assignee__username", "assignee__first_name", "assignee__last_name",
    "assignee__email", "template__name", "template__body",
    "asset__status", "asset__external_id", "asset__external_uid", "asset__created",
    "asset__updated", "asset__product", "asset__connection", "asset__marketplace",
    "asset__contract",
    *(f"asset__{tier}__{name}" for tier in ("customer", "tier1", "tier2") for name in _TIER),
)  # fmt: skip


class Requests(ValidatedCollection):
    """`/requests`: the fulfillment queue, for both parties."""

    documented = schema.REQUESTS
    bodies = {
        "create": creation.CREATE, "update": editing.UPDATE, "validate": editing.UPDATE,
    }  # fmt: skip
    queue = rules.QUEUE
    validated = validation.VALIDATED
    related = queries.RELATED
    columns = _COLUMNS
    represent = staticmethod(representations.request)
    rql_filter_class = RequestFilters

    def visible(self) -> QuerySet[Any]:
        """Return the requests of both parties, with the template that each shows."""
        shown = templates.shown_id({"asset": Q()})
        rows: QuerySet[Any] = super().visible().alias(template_shown=shown)
        return rows

    def complete(self, rows: QuerySet[Request]) -> QuerySet[Request]:
        """Return the requests with where they are sold, and what is configured there."""
        return queries.complete(rows)

    def create(self, request: HttpRequest) -> Response:
        """Create a request: 201, 400, or 409 where there is one already."""
        row = creation.create(self.data, self.actor)
        return self.answer(self.get_queryset().get(pk=row.pk), 201)

    def update(self, request: HttpRequest, pk: str) -> Response:
        """Change note and parameters, or a draft as a whole: 200; partial bodies are usual."""
        self.get_object()
        editing.edit(pk, self.data, self.actor)
        return self.answer(self.get_object())

    def assign_to(self, request: HttpRequest, pk: str, user: str) -> Response:
        """Assign the request to the user in the path: the call of the Haxe SDKs."""
        self.get_object()
        name = "email" if "@" in user else "id"
        return self._assigned(pk, self._colleague(**{name: user}), "assign")

    @action(detail=True, methods=["get"])
    def render(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what the customer reads, as Markdown."""
        return markdown(texts.of_request(self.get_object()))


class RenderedTemplates(Requests):
    """`/templates/{id}/render?request_id=`: the call of connect-sdk 22 and the Haxe SDKs."""

    documented = schema.RENDERED_TEMPLATES

    def with_request(self, request: HttpRequest, template_id: str) -> HttpResponse:
        """Answer 200 with what the template makes of the request, as Markdown."""
        wanted = request.query_params.get("request_id", "")
        if not wanted:
            raise Invalid("request_id", "Name the request that fills the template.")
        row = self.get_queryset().filter(pk=wanted).first()
        if row is None:
            raise Missing(wanted)
        template = Template.objects.filter(pk=template_id, product=row.product_id).first()
        if template is None:
            raise Missing(template_id)
        return markdown(texts.of_template(template, row))


class Assets(Collection):
    """`/assets`: subscriptions of both parties, read-only."""

    documented = schema.ASSETS
    lists = frozenset({"requests"})
    related = ("template", "customer", "tier1", "tier2")
    represent = staticmethod(representations.subscription)
    rql_filter_class = AssetFilters

    def visible(self) -> QuerySet[Asset]:
        """Return the assets of the caller's side."""
        side = "vendor" if self.account.is_vendor else "provider"
        return Asset.objects.filter(**{f"connection__{side}": self.account})

    def complete(self, rows: QuerySet[Asset]) -> QuerySet[Asset]:
        """Return the assets with where they are sold, and what is configured there."""
        shared = sales_context.prefetch()
        return super().complete(rows).prefetch_related(*shared, configured_values.prefetch())

    @action(detail=True, methods=["get"])
    def requests(self, request: HttpRequest, pk: str) -> Response:
        """List the requests of a subscription."""
        asset = self.get_object()
        rows = asset.requests.select_related("assignee").order_by("-created", "pk")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(
            [representations.in_list_of_asset(row) for row in page or []]
        )

    @action(detail=True, methods=["get"])
    def render(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what the customer reads, as Markdown."""
        return markdown(texts.of_asset(self.get_object()))


urlpatterns = [
    path("requests/<str:pk>/assign/<str:user>", Requests.as_view({"post": "assign_to"})),
    *queue_routes("requests", Requests),
    path("templates/<str:template_id>/render", RenderedTemplates.as_view({"get": "with_request"})),
    *routes("assets", Assets),
]
