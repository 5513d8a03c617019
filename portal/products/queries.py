"""What the pages of products show: of what the account sees, a few statements a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, Item, Parameter, Product, Template
from requests_queue.errors import Missing
from requests_queue.queues import base
from webhooks import types
from webhooks.models import Webhook

ROWS = 50
PHASES = ("ordering", "fulfillment", "configuration")
# A tab: the name of its address, and what it is called.
TABS = (
    ("product", "General"),
    ("product-items", "Items"),
    ("product-parameters", "Parameters"),
    ("product-templates", "Templates"),
    ("product-capabilities", "Capabilities"),
)
_WEBHOOKS = 20
_LONG = (
    "short_description", "detailed_description", "capabilities", "customer_ui_settings",
    "end_of_sale_notes", "category",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product in the list, and how many of the objects in its queues aren't done with."""

    product: Any
    open: int


def products(account: Account, asked: str) -> QuerySet[Product]:
    """Return the products that an account sees, with how many webhooks of its own each has."""
    rows = visibility.products(account)
    if asked:
        rows = rows.filter(Q(name__icontains=asked) | Q(pk__icontains=asked))
    webhooks = visibility.count(Webhook.objects.filter(account=account), "product")
    return rows.defer(*_LONG).annotate(webhook_count=webhooks).order_by("name", "pk")


def product_rows(account: Account, rows: Sequence[Product]) -> list[ProductRow]:
    """Return the products with what is open in their queues; a statement a queue."""
    found: Counter[str] = Counter()
    for queue in base.registered() if rows else ():
        going_on = [status for status in queue.status_names if status not in queue.final]
        if not going_on:
            continue
        objects = queue.model.visible_to(account).filter(
            product__in=[row.pk for row in rows], status__in=going_on
        )
        counted = objects.order_by().values_list("product").annotate(n=Count("pk"))
        found.update(dict(counted))
    return [ProductRow(row, found[row.pk]) for row in rows]


def find(account: Account, pk: str) -> Product:
    """Return a product that the account sees; raises Missing."""
    row = visibility.products(account).select_related("owner", "replacement").filter(pk=pk).first()
    if row is None:
        raise Missing(pk)
    return row


def general(account: Account, product: Product) -> dict[str, Any]:
    """Return the account's webhooks of a product, and where it is connected and listed."""
    connections = visibility.connections(account).filter(product=product)
    listings = visibility.listings(account).filter(product=product)
    webhooks = Webhook.objects.filter(account=account, product=product).only(
        "label", "type", "object_class", "active", "out_of_order", "product"
    )
    return {
        "connections": connections.select_related("hub", "provider", "vendor")[:ROWS],
        "listings": listings.select_related("contract__marketplace")[:ROWS],
        "webhooks": [
            (row, types.label(row.type, row.object_class)) for row in webhooks[: _WEBHOOKS + 1]
        ],
        "most": _WEBHOOKS,
    }


def items(product: Product) -> QuerySet[Item]:
    """Return a product's items."""
    return Item.objects.filter(product=product).defer("end_of_sale_notes")


def parameters(product: Product, phase: str) -> QuerySet[Parameter]:
    """Return a product's parameters, of one phase or of all."""
    rows = Parameter.objects.filter(product=product)
    return rows.filter(phase=phase) if phase in PHASES else rows


def templates(product: Product) -> QuerySet[Template]:
    """Return a product's templates."""
    return Template.objects.filter(product=product)
