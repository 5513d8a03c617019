"""`/products/{id}/…`: items, parameters, templates and connections of one product."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Model, Q, QuerySet, TextField
from django.db.models.functions import Lower
from py_rql.constants import FilterLookups
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Connection, Item, Parameter, Template
from requests_queue.catalog.representations import products as product_representations
from requests_queue.catalog.representations.hubs import CONNECTION
from requests_queue.catalog.schema import products as documents
from requests_queue.catalog.views.of_product import OfProduct, PartOfProduct
from requests_queue.catalog.writes import connections as connection_writes
from requests_queue.catalog.writes import items as item_writes
from requests_queue.catalog.writes import parameters as parameter_writes
from requests_queue.catalog.writes import templates as template_writes
from requests_queue.catalog.writes.products import EndOfSaleInput
from requests_queue.filtering import (
    ConnectFilters,
    computed,
    filters,
    looked_up,
    parts,
    plain,
    switch_in,
    text_in,
)
from requests_queue.rest import routes
from requests_queue.schema import Documented, Json

_EVENTS = (("events.created.at", "created"), ("events.updated.at", "updated"))
_SWITCHES = ("required", "hidden", "unique", "reconciliation")


def _written_small(name: str, source: str) -> Json:
    """Return a filter of a word that the API writes small and assets capitalise."""
    return computed(name, f"small_{source}", TextField())


class ItemFilters(ConnectFilters):
    """What items can be filtered and ordered by."""

    MODEL = Item
    FILTERS = [
        *filters(
            "id", ("verbose_id", "id"), ("global_id", "id"), "local_id", "mpn", "name",
            ("display_name", "name"), "description", ("description.value", "description"),
            "status", "dynamic", "position", ("commitment.count", "commitment"), "external_id",
            ("replacement.id", "replacement__id"), ("events.saleended.at", "sale_ended"),
            ("group.mpn", "mpn"), ("group.name", "name"), *_EVENTS,
            search=("id", "local_id", "mpn", "name"),
        ),
        _written_small("type", "type"), _written_small("item_type", "type"),
        _written_small("period", "period"), _written_small("precision", "precision"),
        computed("unit.id", "unit_id", TextField()),
        computed("unit.title", "unit_title", TextField()),
        *parts("unit", "commitment", "ui", "events", "group", "parent", "replacement"),
    ]  # fmt: skip


class Items(PartOfProduct):
    """`/products/{id}/items`, for both sides; in the path an item's global or local id."""

    documented = documents.ITEMS
    bodies = {
        "create": item_writes.ItemInput(), "update": item_writes.ItemInput(partial=True),
        "endsale": EndOfSaleInput(),
    }  # fmt: skip
    related = ("replacement",)
    writes = item_writes
    represent = staticmethod(product_representations.item)
    rql_filter_class = ItemFilters

    def visible(self) -> QuerySet[Item]:
        """Return the product's items."""
        small = {f"small_{name}": Lower(name) for name in ("type", "period", "precision")}
        return Item.objects.filter(product=self.product).alias(
            unit_id=text_in("unit__id"), unit_title=text_in("unit__title"), **small
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


class ParameterFilters(ConnectFilters):
    """What parameters can be filtered and ordered by."""

    MODEL = Parameter
    FILTERS = [
        looked_up("id", ordering=True),
        *filters("name", "title", "description", "type", "scope", "phase", "position", *_EVENTS,
                 search=("name", "title")),
        *(computed(f"constraints.{name}", f"is_{name}", BooleanField()) for name in _SWITCHES),
        computed("constraints.shared", "shared", TextField()),
        *parts("constraints", "constraints.choices", "default", "hint", "placeholder", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Compare the id, which the row doesn't hold as it is."""
        found = product_representations.parameter_by_id(plain(data.str_value))
        return ~found if data.filter_lookup == FilterLookups.NE else found

    def build_name_for_custom_ordering(self, filter_name: str) -> str:
        """Order by the number at the id's end."""
        return "pk"


class Parameters(PartOfProduct):
    """`/products/{id}/parameters`, for both sides; in the path a parameter's id or its name."""

    documented = documents.PARAMETERS
    bodies = {
        "create": parameter_writes.ParameterInput(),
        "update": parameter_writes.ParameterUpdate(partial=True),
    }
    writes = parameter_writes
    represent = staticmethod(product_representations.parameter)
    rql_filter_class = ParameterFilters

    def visible(self) -> QuerySet[Parameter]:
        """Return the product's parameters."""
        switches = {f"is_{name}": switch_in(f"constraints__{name}") for name in _SWITCHES}
        return Parameter.objects.filter(product=self.product).alias(
            shared=text_in("constraints__shared"), **switches
        )

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the parameter by its id, else by its name, which is its id in assets."""
        return rows.filter(product_representations.parameter_by_id(pk)).first()


class TemplateFilters(ConnectFilters):
    """What templates can be filtered and ordered by."""

    MODEL = Template
    FILTERS = [
        *filters("id", "name", "title", "scope", "type", "position", *_EVENTS,
                 search=("id", "name", "title")),
        *parts("body", "events"),
    ]  # fmt: skip


class Templates(PartOfProduct):
    """`/products/{id}/templates`, for both sides."""

    documented = documents.TEMPLATES
    bodies = {
        "create": template_writes.TemplateInput(),
        "update": template_writes.TemplateUpdate(partial=True),
    }
    writes = template_writes
    represent = staticmethod(product_representations.template)
    rql_filter_class = TemplateFilters

    def visible(self) -> QuerySet[Template]:
        """Return the product's templates."""
        return Template.objects.filter(product=self.product)


class Connections(OfProduct):
    """`/products/{id}/connections`, for both sides: those that the caller is a party of."""

    documented = Documented("Products", "connection", CONNECTION)
    bodies = {
        "create": connection_writes.ConnectionInput(),
        "update": connection_writes.ConnectionUpdate(partial=True),
    }

    def visible(self) -> QuerySet[Connection]:
        """Return the product's connections."""
        return visibility.connections(self.account).filter(product=self.product)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Connect the product to a hub, for its vendor: 201, 400 or 403."""
        row = connection_writes.create(self.own_product, self.body)
        return self.answer(self.get_queryset().get(pk=row.pk), 201)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change a connection's type, for the product's vendor: 200, 400 or 403."""
        row = self.get_object()
        connection_writes.update(self.own_product, row, self.body)
        return self.answer(self.get_object())


_OF = "products/(?P<product_id>[^/]+)/"
urlpatterns = [
    *routes(f"{_OF}items", Items),
    *routes(f"{_OF}parameters", Parameters),
    *routes(f"{_OF}templates", Templates),
    *routes(f"{_OF}connections", Connections),
]
