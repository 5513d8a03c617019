"""`/products/{id}/actions`: the buttons on the pages of a product's subscriptions."""

from __future__ import annotations

from django.db.models import QuerySet

from requests_queue.catalog import product_shape
from requests_queue.catalog.models import ProductAction
from requests_queue.catalog.schema import products as documents
from requests_queue.catalog.views.of_product import PartOfProduct
from requests_queue.catalog.writes import actions
from requests_queue.rest import ConnectFilters, filters, parts, routes


class ActionFilters(ConnectFilters):
    """What actions can be filtered and ordered by."""

    MODEL = ProductAction
    FILTERS = [
        *filters(
            "id", "action", "name", "title", "type", "scope", ("events.created.at", "created"),
            ("events.updated.at", "updated"), search=("id", "action", "name"),
        ),
        *parts("description", "events"),
    ]  # fmt: skip


class Actions(PartOfProduct):
    """`/products/{id}/actions`, for both sides; the vendor writes them."""

    documented = documents.ACTIONS
    writes = actions
    represent = staticmethod(product_shape.action)
    rql_filter_class = ActionFilters

    def visible(self) -> QuerySet[ProductAction]:
        """Return the product's actions."""
        return ProductAction.objects.filter(product=self.product)


urlpatterns = routes("products/(?P<product_id>[^/]+)/actions", Actions)
