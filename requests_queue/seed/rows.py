"""What the tables of demo data have in common: missing rows, offers, moments, and values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models

from requests_queue import clock
from requests_queue.catalog import parameter_values
from requests_queue.catalog.models import Connection, Contract, Listing, Product, Template
from requests_queue.catalog.parameter_values import Params


def add_missing(rows: Sequence[models.Model], *key: str) -> int:
    """Insert the rows whose key (default: the id) does not exist yet; return their number.

    Concurrent seeds: the later one waits for the rows of the earlier one and skips them. Rows
    that break another unique constraint, because of a user's row, are skipped too.
    """
    if not rows:
        return 0
    names = key or ("pk",)
    table = type(rows[0])._default_manager
    keys = [tuple(getattr(row, name) for name in names) for row in rows]
    existing = set(table.filter(**{f"{names[0]}__in": {k[0] for k in keys}}).values_list(*names))
    missing = [row for row, k in zip(rows, keys, strict=True) if k not in existing]
    table.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


@dataclass(frozen=True, slots=True)
class Offer:
    """A product with the connection and the contract of its orders."""

    product: Product
    connection: Connection
    contract: Contract

    def template(self, scope: str, kind: str) -> Template | None:
        """Return the first template of a scope and type."""
        rows = self.product.templates.all()
        return next((row for row in rows if (row.scope, row.type) == (scope, kind)), None)


def offers(ids: Collection[str]) -> dict[str, Offer]:
    """Return the products that can be ordered by their ids, with items and templates."""
    products = Product.objects.prefetch_related("items", "templates").in_bulk(ids)
    connections = Connection.objects.filter(product__in=ids).order_by("-pk")
    listings = Listing.objects.filter(product__in=ids).order_by("-pk")
    # Of several ones the first, which is written last.
    by_product = {row.product_id: row for row in connections}
    contracts = {
        row.product_id: row.contract for row in listings.select_related("contract__marketplace")
    }
    return {
        pk: Offer(product, by_product[pk], contracts[pk])
        for pk, product in products.items()
        if pk in by_product and pk in contracts
    }


def moment(at: datetime, days: float) -> datetime:
    """Return the moment so many days after the first seed, in whole seconds."""
    return clock.shown(at + timedelta(days=days))


def filled(params: Params, given: Mapping[str, Any], errors: Mapping[str, str]) -> Params:
    """Return parameters with values and errors, by their names; raises Invalid."""
    values: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        key = "structured_value" if isinstance(value, Mapping) else "value"
        values[name] = {"id": name, key: value}
    for name, message in errors.items():
        values.setdefault(name, {"id": name})["value_error"] = message
    return parameter_values.fill(params, list(values.values()), ("ordering", "fulfillment"))
