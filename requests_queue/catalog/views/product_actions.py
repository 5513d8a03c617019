"""`/products/{id}/actions`: the buttons on the pages of a product's subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db.models import QuerySet
from django.urls import path
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import action_links, visibility
from requests_queue.catalog.models import Account, ProductAction
from requests_queue.catalog.representations.products import ACTION, ActionLink, ActionSecret
from requests_queue.catalog.rest import routes
from requests_queue.catalog.views.of_product import PartOfProduct
from requests_queue.catalog.writes import actions
from requests_queue.errors import Invalid

LINK_QUERIES = {
    "asset_id": "The subscription that the action is for.",
    "tier_config_id": "The tier configuration that an action of a tier scope is for.",
}


class Actions(PartOfProduct):
    """`/products/{id}/actions`, for both sides; the vendor writes them."""

    documented = Documented(
        "Products",
        "action",
        ACTION,
        answers={
            "action_link": Answer(200, ActionLink),
            "regenerate_secret": Answer(200, ActionSecret),
        },
        queries={"action_link": LINK_QUERIES},
    )
    bodies = {
        "create": actions.ProductActionInput(),
        "update": actions.ProductActionInput(partial=True),
    }
    writes = actions

    def visible(self) -> QuerySet[ProductAction]:
        """Return the product's actions."""
        return ProductAction.objects.select_related("product").filter(product=self.product)

    @action(detail=True, methods=["get"], url_path="actionLink")
    def action_link(self, request: Request, **kwargs: Any) -> Response:
        """Answer with a link that runs the action: 200.

        `?asset_id=AS-…` is for a subscription, `?tier_config_id=TC-…` for the configuration of a
        tier. Connect's document has no such parameters, and the Haxe SDK sends none.
        """
        return Response({"link": link(self.account, self.get_object(), request.query_params)})

    def regenerate_secret(self, request: Request, **kwargs: Any) -> Response:
        """Replace the secret that signs the links of a product's actions, for its vendor.

        200 with the new one, which is shown nowhere else; 403 for the distributor.
        """
        return Response({"jwt_secret": action_links.regenerate(self.own_product)})


def link(account: Account, row: ProductAction, given: Mapping[str, str]) -> str:
    """Return the link to an action for what the query names; raises Invalid."""
    return action_links.to(row, _about(account, row, given))


def _about(account: Account, row: ProductAction, given: Mapping[str, str]) -> dict[str, str]:
    """Return the claim that says what a link is about; raises Invalid."""
    scope = "asset_id" if row.scope == "asset" else "tier_config_id"
    for name in ("asset_id", "tier_config_id"):
        if given.get(name) and name != scope:
            raise Invalid(name, f"Action {row.pk} is of scope {row.scope}: name {scope}.")
    wanted = given.get(scope)
    if not wanted:
        return {}
    if scope == "asset_id":
        assets = visibility.assets(account).filter(product=row.product_id, pk=wanted)
        if not assets.exists():
            raise Invalid("asset_id", f"Subscription {wanted} does not exist.")
        return {"asset_id": wanted}
    level = int(row.scope.removeprefix("tier"))
    # By name: the queues import the catalog.
    rows = apps.get_model("tier_config", "TierConfig")._default_manager
    configs = rows.filter(**visibility.party(account, "connection__"))
    if not configs.filter(product=row.product_id, pk=wanted, tier_level=level).exists():
        raise Invalid("tier_config_id", f"Tier {level} configuration {wanted} does not exist.")
    return {"configuration_id": wanted}


_PREFIX = "products/(?P<product_id>[^/]+)/actions"
urlpatterns = [
    path(
        "products/<str:product_id>/actions/regeneratesecret",
        Actions.as_view({"post": "regenerate_secret"}),
    ),
    *routes(_PREFIX, Actions),
]
