"""`/products/{id}/actions`: the buttons on the pages of a product's subscriptions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import product_shape
from requests_queue.catalog.models import ProductAction
from requests_queue.catalog.schema import products as documents
from requests_queue.catalog.views import action_links, seen
from requests_queue.catalog.views.of_product import PartOfProduct
from requests_queue.catalog.writes import actions
from requests_queue.errors import Invalid
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

    @action(detail=True, methods=["get"], url_path="actionLink")
    def action_link(self, request: Request, **kwargs: Any) -> Response:
        """Answer with a link that runs the action, `?asset_id=AS-…` for a subscription.

        Connect's document has no such parameter, and the Haxe SDK sends none.
        """
        row, asset = self.get_object(), None
        if wanted := request.query_params.get("asset_id"):
            mine = seen.assets(self.account).filter(product=row.product_id)
            asset = mine.filter(pk=wanted).first()
            if asset is None:
                raise Invalid(f"asset_id: Subscription {wanted} does not exist.")
        return Response({"link": action_links.to(row, asset)})


urlpatterns = routes(
    "products/(?P<product_id>[^/]+)/actions",
    Actions,
    path("products/actions/<str:token>", action_links.Landing.as_view()),
)
