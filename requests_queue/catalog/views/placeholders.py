"""The placeholders of the preview environment: no list has them, but vendors who order read them.

Programs read the marketplace, hub, contract or connection that an order names.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model, QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.rest import Collection
from requests_queue.db.rows import find_one


class ReadPlaceholders(Collection):
    """A collection whose details also have the placeholders in the caller's preview orders."""

    # Where a subscription has such an object.
    in_orders: ClassVar[str]
    # The column of the id in the API.
    shown_id: ClassVar[str] = "pk"

    def find(self, rows: QuerySet[Any], pk: str) -> Model | None:
        """Return the row by its id in the path; a placeholder to read it only."""
        found = super().find(rows, pk)
        if found is not None or self.action != "retrieve":
            return found
        return find_one(self.complete(self.placeholders()).filter(**{self.shown_id: pk}))

    def placeholders(self) -> QuerySet[Any]:
        """Return the placeholders of the caller's orders."""
        return visibility.placeholders(self.account, self.get_queryset().model, self.in_orders)
