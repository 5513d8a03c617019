"""`/sandbox/products`: products that can be ordered at once, for tests."""

from __future__ import annotations

from typing import Any, TypedDict, cast

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Parameter, User
from requests_queue.catalog.representations.parameters import parameter_id
from requests_queue.rows import get_row
from sandbox import products
from sandbox.api.operations import Operation, Operations
from sandbox.api.queries import NoQuery
from sandbox.products import Sold


class SoldItem(TypedDict):
    """An item of a product."""

    id: str
    local_id: str
    mpn: str
    name: str
    type: str
    period: str
    precision: str


class SoldParameter(TypedDict):
    """A parameter of a product; orders use its name as id."""

    id: str
    name: str
    title: str
    type: str
    scope: str
    phase: str
    required: bool


class SoldTemplate(TypedDict):
    """A template of a product."""

    id: str
    name: str
    scope: str
    type: str | None


class SoldProduct(TypedDict):
    """A product with its parts, and the ids of what it is sold by; null where it is not sold."""

    id: str
    name: str
    vendor: str
    provider: str | None
    connection: str | None
    hub: str | None
    listing: str | None
    contract: str | None
    marketplace: str | None
    items: list[SoldItem]
    params: list[SoldParameter]
    templates: list[SoldTemplate]


class ProductsView(APIView):
    """`POST /sandbox/products {"name"?, "items"?, "params"?, "templates"?, "capabilities"?}`."""

    operations: Operations = {
        "post": Operation(
            "Products", "Create a product", SoldProduct, 201, body=products.ProductInput
        )
    }

    def post(self, request: Request) -> Response:
        """Create a published, connected and listed product of the vendor: 201, 400 or 403.

        Parts that are given replace the default ones: two items, `mailbox` and the pay-as-you-go
        item `traffic`; two parameters, `domain` (ordering, optional) and `activation_id`
        (fulfillment, required); templates of every scope and type; all capabilities on.
        """
        values = products.ProductInput().check(request.data)
        return Response(_represent(products.create(values, _account(request))), status=201)


class ProductView(APIView):
    """`GET /sandbox/products/{id}`: a product with its parts, and what it is sold by."""

    operations: Operations = {
        "get": Operation("Products", "Show a product", SoldProduct, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return a product that the caller sees, with its parts and what it is sold by."""
        NoQuery().check_query(request.query_params)
        row = get_row(visibility.products(_account(request)), id)
        return Response(_represent(products.find(row)))


def _account(request: Request) -> Account:
    return cast(Account, cast(User, request.user).account)


def _represent(sold: Sold) -> dict[str, Any]:
    product, connection, listing = sold.product, sold.connection, sold.listing
    contract = listing.contract if listing else None
    return {
        "id": product.pk,
        "name": product.name,
        "vendor": product.owner_id,
        "provider": connection.provider_id if connection else None,
        "connection": connection.pk if connection else None,
        "hub": connection.hub_id if connection else None,
        "listing": listing.pk if listing else None,
        "contract": contract.pk if contract else None,
        "marketplace": contract.marketplace_id if contract else None,
        "items": list(
            product.items.values("id", "local_id", "mpn", "name", "type", "period", "precision")
        ),
        "params": [_parameter(row) for row in product.parameters.all()],
        "templates": list(product.templates.values("id", "name", "scope", "type")),
    }


def _parameter(row: Parameter) -> dict[str, Any]:
    return {
        "id": parameter_id(row),
        "name": row.name,
        "title": row.title,
        "type": row.type,
        "scope": row.scope,
        "phase": row.phase,
        "required": bool(row.constraints.get("required")),
    }


urlpatterns = [
    path("products", ProductsView.as_view()),
    path("products/<str:id>", ProductView.as_view()),
]
