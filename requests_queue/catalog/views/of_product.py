"""What belongs to one product in the path, and how its vendor writes it."""

from __future__ import annotations

from typing import Any, Protocol

from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Product
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.db.rows import get_row


class OfProduct(AuditedCollection):
    """What belongs to one product; 404 where the caller doesn't see the product."""

    @property
    def product(self) -> Product:
        """The product in the path; raises Missing."""
        return get_row(visibility.products(self.account), self.kwargs["product_id"])

    @property
    def own_product(self) -> Product:
        """The product in the path, where the caller is its vendor; raises Missing, Forbidden."""
        row = self.product
        visibility.require_vendor(self.account)
        return row


class Writes(Protocol):
    """A module of `catalog.writes`: each call is a transaction."""

    def create(self, product: Product, data: Any, /) -> Any:
        """Create a part and return it."""

    def update(self, product: Product, row: Any, data: Any, /) -> None:
        """Change a part."""

    def delete(self, product: Product, row: Any, /) -> None:
        """Delete a part."""


class PartOfProduct(OfProduct):
    """Parts that vendors create, change and delete, and providers read."""

    writes: Writes

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a part, for the product's vendor: 201, 400 or 403."""
        return self.created(self.writes.create(self.own_product, self.body))

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change a part, for the product's vendor: 200; what the body lacks stays as it is."""
        row = self.get_object()
        self.writes.update(self.own_product, row, self.body)
        return self.answer(self.get_object())

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete a part, for the product's vendor: 204."""
        row = self.get_object()
        self.writes.delete(self.own_product, row)
        return Response(status=204)
