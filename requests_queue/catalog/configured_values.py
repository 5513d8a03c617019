"""Configured values of a product, on a marketplace, and of its items; read by `prefetch`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import Prefetch

from requests_queue.api.schema import Json
from requests_queue.catalog.models import Configuration, Parameter, Product
from requests_queue.db import sql


def prefetch(route: str = "") -> Prefetch[Any]:
    """Return the prefetch of configured values; `route` leads to the product, `asset__`."""
    rows = Configuration.objects.select_related("parameter")
    # To an attribute: the related manager would clone the query for every asset.
    return Prefetch(f"{route}product__configurations", rows, to_attr="configured")


def read(product: Product) -> None:
    """Read the configured values of one product."""
    configured: list[Configuration] = []
    if sql.has_row("catalog_configuration", product_id=product.pk):
        rows = Configuration.objects.select_related("parameter").filter(product=product)
        # The default order begins with the product's, for which Django joins its table.
        configured = list(rows.order_by("pk"))
    product.configured = configured  # type: ignore[attr-defined]


def of_product(product: Product, marketplace_id: str) -> tuple[list[Json], dict[str, list[Json]]]:
    """Return the parameters of a `configuration` on a marketplace, and those of items by id.

    The product keeps them: it is one object for all rows of a page.
    """
    kept: dict[str, Any] = product.__dict__.setdefault("configured_on", {})
    if marketplace_id not in kept:
        whole: list[Json] = []
        by_item: dict[str, list[Json]] = defaultdict(list)
        rows: list[Configuration] = product.configured  # type: ignore[attr-defined]
        for row in rows:
            if row.marketplace_id in (None, marketplace_id):
                shown = _param(row, row.parameter)
                (by_item[row.item_id] if row.item_id else whole).append(shown)
        kept[marketplace_id] = whole, by_item
    found: tuple[list[Json], dict[str, list[Json]]] = kept[marketplace_id]
    return found


def with_values(items: list[Json], by_item: dict[str, list[Json]]) -> list[Json]:
    """Return an asset's items with the values of each."""
    if not by_item:
        return items
    return [{**item, "params": by_item.get(item["global_id"], [])} for item in items]


def _param(row: Configuration, parameter: Parameter) -> Json:
    found: Json = {
        "id": parameter.name,
        "title": parameter.title,
        "description": parameter.description,
        "type": parameter.type,
        "scope": parameter.scope,
        "phase": parameter.phase,
        "value": row.value or "",
        "constraints": {
            "required": bool(parameter.constraints.get("required")),
            "hidden": bool(parameter.constraints.get("hidden")),
        },
    }
    if row.structured_value is not None:
        found["structured_value"] = row.structured_value
    return found
