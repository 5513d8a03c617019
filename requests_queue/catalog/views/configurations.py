"""`/products/{id}/configurations`: the values of a product's configuration parameters."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Q, QuerySet, TextField
from django.urls import path
from py_rql.constants import FilterLookups
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Configuration, Parameter
from requests_queue.catalog.representations import products as product_representations
from requests_queue.catalog.schema import products as documents
from requests_queue.catalog.views.of_product import OfProduct
from requests_queue.catalog.writes import configurations
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


class ConfigurationFilters(ConnectFilters):
    """What configured values can be filtered and ordered by."""

    MODEL = Configuration
    FILTERS = [
        *filters(
            "value", ("parameter.name", "parameter__name"), ("parameter.title", "parameter__title"),
            ("parameter.scope", "parameter__scope"), ("parameter.type", "parameter__type"),
            ("item.id", "item__id"), ("item.name", "item__name"),
            ("marketplace.id", "marketplace__id"), ("marketplace.name", "marketplace__name"),
            ("events.created.at", "created"), ("events.updated.at", "updated"),
        ),
        looked_up("parameter.id"),
        computed("parameter.constraints.required", "is_required", BooleanField()),
        computed("parameter.constraints.shared", "shared", TextField()),
        *parts("structured_value", "parameter", "parameter.constraints", "item", "marketplace",
               "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Compare the parameter's id, or its name."""
        wanted = product_representations.parameter_by_id(plain(data.str_value))
        found = Q(parameter__in=Parameter.objects.filter(wanted))
        return ~found if data.filter_lookup == FilterLookups.NE else found


class Configurations(OfProduct):
    """`/products/{id}/configurations`: what is set; both sides read it, the vendor writes it."""

    documented = documents.CONFIGURATIONS
    bodies = {"create": configurations.ConfigurationInput()}
    related = ("parameter", "item", "marketplace")
    represent = staticmethod(product_representations.configuration)
    rql_filter_class = ConfigurationFilters

    def visible(self) -> QuerySet[Configuration]:
        """Return the product's values, of marketplaces those that the caller sees."""
        rows = Configuration.objects.filter(product=self.product)
        mine = Q(marketplace=None) | Q(marketplace__in=visibility.marketplaces(self.account))
        return rows.filter(mine).alias(
            is_required=switch_in("parameter__constraints__required"),
            shared=text_in("parameter__constraints__shared"),
        )

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Set a value, or clear it, for the product's vendor: 201, 400 or 403."""
        return self.answer(configurations.put(self.own_product, self.body), 201)


urlpatterns = [
    path(
        "products/<str:product_id>/configurations",
        Configurations.as_view({"get": "list", "post": "create"}),
    ),
]
