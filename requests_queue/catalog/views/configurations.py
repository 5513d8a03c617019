"""`/products/{id}/configurations`: the values of a product's configuration parameters."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Configuration
from requests_queue.catalog.representations.parameters import CONFIGURATION
from requests_queue.catalog.views.of_product import OfProduct
from requests_queue.catalog.writes import configurations
from requests_queue.filtering import switch_in, text_in
from requests_queue.schema import Documented


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
