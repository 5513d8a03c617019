"""`/requests` and `/assets`: what Connect serves of the fulfillment queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet, prefetch_related_objects
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from requests_queue.api.schema import MARKDOWN, Answer, Documented
from requests_queue.catalog import configured_values, sales_context, templates, visibility
from requests_queue.catalog.models import Asset, Template
from requests_queue.catalog.representations.orders import show_capabilities
from requests_queue.catalog.rest import Collection, markdown, routes
from requests_queue.db.rows import get_row
from requests_queue.errors import Invalid
from requests_queue.queues.api import ValidatedCollection, queue_routes
from requests_queue.queues.fulfillment import creation, editing, effects, representations, rules
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.representations import ASSET, REQUEST, REQUEST_OF_ASSET
from requests_queue.queues.validation import Validated

_RELATED = ("assignee", "template", "asset__customer", "asset__tier1", "asset__tier2")


def _complete(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return requests with everything that their representations need."""
    shared = *sales_context.prefetch("asset__"), configured_values.prefetch("asset__")
    related = rows.select_related(*_RELATED)
    return related.prefetch_related(*shared, templates.prefetch("asset__"))


def _customers(row: Request) -> list[tuple[str, str]]:
    """Return the customer and the reseller of a request, with their labels."""
    return [("Customer", row.asset.customer.name), ("Reseller", row.asset.tier1.name)]


VALIDATED = Validated(
    queue=rules.QUEUE,
    complete=_complete,
    represent=representations.request,
    create=creation.create,
    edit=editing.edit,
    check_updatable=effects.check_updatable,
    apply=partial(editing.edit, validates=True),
    text=representations.text_of_request,
    write=editing.write_params,
    paths=(("asset", "params"),),
    customers=_customers,
)


class Requests(ValidatedCollection):
    """`/requests`: the fulfillment queue, for both parties."""

    documented = Documented(
        "Fulfillment requests", "request", REQUEST, answers={"render": MARKDOWN}
    )
    bodies = {
        "create": creation.CREATE,
        "update": editing.UPDATE,
        "validate": editing.UPDATE,
    }
    queue = rules.QUEUE
    service = VALIDATED
    represent = staticmethod(representations.request)

    def created(self, row: Any) -> Response:
        """Answer 201 with the new request, of which almost everything has just been read."""
        configured_values.read(row.asset.product)
        return self.answer(row, 201)

    def filtered_by(self) -> Mapping[str, Any]:
        """Return the template that a request shows."""
        return {"template_shown": templates.shown_id({"asset": Q()})}

    def load_selected(self, rows: Iterable[Any], select: Mapping[str, bool]) -> None:
        """Show the capabilities of the products if `select` names them."""
        if select.get("asset.product.capabilities"):
            for row in rows:
                show_capabilities(row.asset.product)

    def assign_to(self, request: HttpRequest, pk: str, user: str) -> Response:
        """Assign the request to the user in the path: the call of the Haxe SDKs."""
        self.check_visible(pk)
        name = "email" if "@" in user else "id"
        return self._assigned(pk, self._colleague(**{name: user}), "assign")


class RenderedTemplates(Requests):
    """`/templates/{id}/render?request_id=`: the call of connect-sdk 22 and the Haxe SDKs."""

    documented = Documented(
        "Fulfillment requests",
        "template",
        answers={"with_request": MARKDOWN},
        queries={"with_request": {"request_id": "The request that fills the template."}},
    )

    def with_request(self, request: HttpRequest, template_id: str) -> HttpResponse:
        """Answer 200 with what the template makes of the request, as Markdown."""
        wanted = request.query_params.get("request_id", "")
        if not wanted:
            raise Invalid("request_id", "Name the request that fills the template.")
        row = get_row(self.get_queryset(), wanted)
        template = get_row(Template.objects.filter(product=row.product_id), template_id)
        return markdown(representations.text_of_template(template, row))


class Assets(Collection):
    """`/assets`: subscriptions of both parties, read-only."""

    documented = Documented(
        "Subscriptions",
        "subscription",
        ASSET,
        answers={"requests": Answer(200, [REQUEST_OF_ASSET]), "render": MARKDOWN},
    )
    lists = frozenset({"requests"})
    related = ("template", "customer", "tier1", "tier2")

    def visible(self) -> QuerySet[Asset]:
        """Return the assets of the caller's side."""
        return visibility.assets(self.account)

    def complete(self, rows: QuerySet[Asset]) -> QuerySet[Asset]:
        """Return the assets with where they are sold, and what is configured there."""
        shared = sales_context.prefetch()
        return super().complete(rows).prefetch_related(*shared, configured_values.prefetch())

    def load_selected(self, rows: Iterable[Any], select: Mapping[str, bool]) -> None:
        """Load the open requests if `select` names them."""
        if select.get("pending_request"):
            prefetch_related_objects(
                list(rows), templates.prefetch(), representations.pending_requests()
            )

    @action(detail=True, methods=["get"])
    def requests(self, request: HttpRequest, pk: str) -> Response:
        """List the requests of a subscription."""
        asset = self.get_object()
        rows = asset.requests.select_related("assignee").order_by("-created", "pk")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response([REQUEST_OF_ASSET.represent(row) for row in page or []])

    @action(detail=True, methods=["get"])
    def render(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Answer 200 with what the customer reads, as Markdown."""
        return markdown(representations.text_of_asset(self.get_object()))


urlpatterns = [
    path("requests/<str:pk>/assign/<str:user>", Requests.as_view({"post": "assign_to"})),
    *queue_routes("requests", Requests),
    path("templates/<str:template_id>/render", RenderedTemplates.as_view({"get": "with_request"})),
    *routes("assets", Assets),
]
