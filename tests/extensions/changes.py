"""Changes of a queue, without an object of it."""

from __future__ import annotations

from typing import Any

from requests_queue.queues.transitions import Change
from tests.make import AT, Catalog


def change(catalog: Catalog, **more: Any) -> Change:
    """Return a change of a purchase into `pending`."""
    fields = {
        "object_class": "fulfillment_request",
        "object_id": "PR-1",
        "product_id": catalog.product.pk,
        "account_ids": (catalog.vendor.pk, catalog.provider.pk),
        "status_from": "draft",
        "status_to": "pending",
        "at": AT,
        "type": "purchase",
        **more,
    }
    return Change(**fields)
