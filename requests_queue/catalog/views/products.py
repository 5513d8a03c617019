"""`/products`: what vendors sell, as each side sees it, and vendors write it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.filter_tables import text_in
from requests_queue.api.schema import Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Product
from requests_queue.catalog.representations.products import PRODUCT
from requests_queue.catalog.rest import routes
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.views.forms import BodyParser
from requests_queue.catalog.writes import products as writes
from requests_queue.errors import Forbidden


class Products(AuditedCollection):
    """`/products`: a vendor's own, which it writes; those that are sold to a provider."""

    documented = Documented("Products", "product", PRODUCT)
    bodies = {
        "create": writes.ProductInput(),
        "update": writes.ProductUpdate(partial=True),
        "endsale": writes.EndOfSaleInput(),
    }
    related = (*PRODUCT.related, "replacement")
    # connect-cli sends an icon beside the product.
    parser_classes = (BodyParser,)

    def visible(self) -> QuerySet[Product]:
        return visibility.products(self.account)

    def filtered_by(self) -> dict[str, Coalesce]:
        """Return what the category of a product is called."""
        return {"category_id": text_in("category__id"), "category_name": text_in("category__name")}

    def annotations(self) -> dict[str, Any]:
        """Return why this account sees a product."""
        return visibility.seen_by(self.account)

    def create(self, request: Request) -> Response:
        """Create a draft, for vendors: 201, 400 or 403."""
        if not self.account.is_vendor:
            raise Forbidden("Only vendors have products.")
        return self.created(writes.create(self.body, self.account))

    def update(self, request: Request, pk: str) -> Response:
        """Change a product, for its vendor: 200; what the body lacks stays as it is."""
        writes.update(self._own(), self.body)
        return self.answer(self.get_object())

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a draft, for its vendor: 204, or 400 where it is in use."""
        writes.delete(self._own())
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def endsale(self, request: Request, pk: str) -> Response:
        """End the sale, for its vendor: 200 with the product."""
        writes.end_sale(self._own(), self.body)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def resumesale(self, request: Request, pk: str) -> Response:
        """Sell it again, for its vendor: 200 with the product."""
        writes.resume_sale(self._own())
        return self.answer(self.get_object())

    def _own(self) -> Product:
        row: Product = self.get_object()
        visibility.require_vendor(self.account)
        return row


urlpatterns = routes("products", Products)
