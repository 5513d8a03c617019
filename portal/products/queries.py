"""Queries of the pages of products, for what the account may see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Product
from requests_queue.queues import base
from webhooks import types
from webhooks.models import Webhook

ROWS = 50
_MAX_WEBHOOKS = 20
_DEFERRED = (
    "short_description", "detailed_description", "capabilities", "customer_ui_settings",
    "end_of_sale_notes", "category",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product in the list, and the number of open objects in its queues."""

    product: Any
    open: int


def products(account: Account, search: str) -> QuerySet[Product]:
    """Return the products that an account may see, with the number of its webhooks."""
    rows = visibility.products(account)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(pk__icontains=search))
    webhooks = visibility.count(Webhook.objects.filter(account=account), "product")
    return rows.defer(*_DEFERRED).annotate(webhook_count=webhooks).order_by("name", "pk")


def product_rows(account: Account, rows: Sequence[Product]) -> list[ProductRow]:
    """Return the products with their open objects; one statement for each queue."""
    open_objects: Counter[str] = Counter()
    for queue in base.registered() if rows else ():
        open_statuses = [status for status in queue.status_names if status not in queue.final]
        if not open_statuses:
            continue
        objects = queue.model.visible_to(account).filter(
            product__in=[row.pk for row in rows], status__in=open_statuses
        )
        counted = objects.order_by().values_list("product").annotate(n=Count("pk"))
        open_objects.update(dict(counted))
    return [ProductRow(row, open_objects[row.pk]) for row in rows]


def find(account: Account, pk: str) -> Product:
    """Return a product that the account may see; raises Http404."""
    rows = visibility.products(account).select_related("owner", "replacement")
    return get_object_or_404(rows, pk=pk)


def general(account: Account, product: Product) -> dict[str, Any]:
    """Return the account's webhooks, connections and listings of a product."""
    connections = visibility.connections(account).filter(product=product)
    listings = visibility.listings(account).filter(product=product)
    webhooks = Webhook.objects.filter(account=account, product=product).only(
        "label", "type", "object_class", "active", "out_of_order", "product"
    )
    return {
        "connections": connections.select_related("hub", "provider", "vendor")[:ROWS],
        "listings": listings.select_related("contract__marketplace")[:ROWS],
        "webhooks": [
            (row, types.label(row.type, row.object_class)) for row in webhooks[: _MAX_WEBHOOKS + 1]
        ],
        "max_webhooks": _MAX_WEBHOOKS,
    }
