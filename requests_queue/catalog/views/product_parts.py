"""`/products/{id}/…`: items, parameters, their values, templates and connections of one product."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.filter_tables import switch_in, text_in
from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Configuration, Connection, Item, Parameter, Template
from requests_queue.catalog.representations.hubs import CONNECTION
from requests_queue.catalog.representations.parameters import (
    CONFIGURATION,
    PARAMETER,
    parameter_by_id,
)
from requests_queue.catalog.representations.products import ITEM, TEMPLATE, item_is_frozen
from requests_queue.catalog.rest import routes
from requests_queue.catalog.views.of_product import OfProduct, PartOfProduct
from requests_queue.catalog.views.placeholders import ReadPlaceholders
from requests_queue.catalog.writes import configurations
from requests_queue.catalog.writes import connections as connection_writes
from requests_queue.catalog.writes import items as item_writes
from requests_queue.catalog.writes import parameters as parameter_writes
from requests_queue.catalog.writes import templates as template_writes
from requests_queue.catalog.writes.products import EndOfSaleInput

_SWITCHES = ("required", "hidden", "unique", "reconciliation")


class Items(PartOfProduct):
    """`/products/{id}/items`, for both sides; in the path an item's global or local id."""

    documented = Documented(
        "Products",
        "item",
        ITEM,
        answers={"endsale": Answer(200), "resumesale": Answer(200)},
    )
    bodies = {
        "create": item_writes.ItemInput(),
        "update": item_writes.ItemInput(partial=True),
        "endsale": EndOfSaleInput(),
    }
    writes = item_writes

    def visible(self) -> QuerySet[Item]:
        """Return the product's items."""
        small = {f"small_{name}": Lower(name) for name in ("type", "period", "precision")}
        return Item.objects.filter(product=self.product).alias(
            unit_id=text_in("unit__id"),
            unit_title=text_in("unit__title"),
            is_frozen=item_is_frozen(),
            **small,
        )

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the item by its global id, else by its local one."""
        return rows.filter(pk=pk).first() or rows.filter(local_id=pk).first()

    @action(detail=True, methods=["post"])
    def endsale(self, request: Request, **kwargs: Any) -> Response:
        """End the sale of an item, for the vendor: 200 without a body."""
        row = self.get_object()
        item_writes.end_sale(self.own_product, row, self.body)
        return Response()

    @action(detail=True, methods=["post"])
    def resumesale(self, request: Request, **kwargs: Any) -> Response:
        """Sell an item again, for the vendor: 200 without a body."""
        row = self.get_object()
        item_writes.resume_sale(self.own_product, row)
        return Response()


class Parameters(PartOfProduct):
    """`/products/{id}/parameters`, for both sides; in the path a parameter's id or its name."""

    documented = Documented("Products", "parameter", PARAMETER)
    bodies = {
        "create": parameter_writes.ParameterInput(),
        "update": parameter_writes.ParameterUpdate(partial=True),
    }
    writes = parameter_writes

    def visible(self) -> QuerySet[Parameter]:
        """Return the product's parameters."""
        switches = {f"is_{name}": switch_in(f"constraints__{name}") for name in _SWITCHES}
        return Parameter.objects.filter(product=self.product).alias(
            shared=text_in("constraints__shared"), **switches
        )

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the parameter by its id, else by its name, which is its id in assets."""
        return rows.filter(parameter_by_id(pk)).first()


class Templates(PartOfProduct):
    """`/products/{id}/templates`, for both sides."""

    documented = Documented("Products", "template", TEMPLATE)
    bodies = {
        "create": template_writes.TemplateInput(),
        "update": template_writes.TemplateUpdate(partial=True),
    }
    writes = template_writes

    def visible(self) -> QuerySet[Template]:
        """Return the product's templates."""
        return Template.objects.filter(product=self.product)


class Connections(ReadPlaceholders, OfProduct):
    """`/products/{id}/connections`, for both sides: those that the caller is a party of."""

    documented = Documented("Products", "connection", CONNECTION)
    in_orders = "connection"
    shown_id = "public_id"
    bodies = {
        "create": connection_writes.ConnectionInput(),
        "update": connection_writes.ConnectionUpdate(partial=True),
    }

    def visible(self) -> QuerySet[Connection]:
        """Return the product's connections."""
        return visibility.connections(self.account).filter(product=self.product)

    def placeholders(self) -> QuerySet[Any]:
        """Return the product's connection of the preview environment."""
        return super().placeholders().filter(product=self.product)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Connect the product to a hub, for its vendor: 201, 400 or 403."""
        return self.created(connection_writes.create(self.own_product, self.body))

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change a connection's type, for the product's vendor: 200, 400 or 403."""
        row = self.get_object()
        connection_writes.update(self.own_product, row, self.body)
        return self.answer(self.get_object())


class Configurations(OfProduct):
    """`/products/{id}/configurations`: what is set; both sides read it, the vendor writes it."""

    documented = Documented("Products", "configuration", CONFIGURATION)
    bodies = {"create": configurations.ConfigurationInput()}

    def visible(self) -> QuerySet[Configuration]:
        """Return the product's values, of marketplaces those that the caller sees."""
        rows = Configuration.objects.filter(product=self.product)
        mine = Q(marketplace=None) | Q(marketplace__in=visibility.marketplaces(self.account))
        return rows.filter(mine).alias(
            is_required=switch_in("parameter__constraints__required"),
            shared=text_in("constraints__shared", "parameter__"),
        )

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Set a value, or clear it, for the product's vendor: 201, 400 or 403."""
        return self.answer(configurations.put(self.own_product, self.body), 201)


_OF = "products/(?P<product_id>[^/]+)/"
urlpatterns = [
    *routes(f"{_OF}items", Items),
    *routes(f"{_OF}parameters", Parameters),
    *routes(f"{_OF}templates", Templates),
    *routes(f"{_OF}connections", Connections),
    path(
        "products/<str:product_id>/configurations",
        Configurations.as_view({"get": "list", "post": "create"}),
    ),
]
