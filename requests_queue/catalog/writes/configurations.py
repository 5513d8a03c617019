"""A vendor's POST of the value of a configuration parameter: set, replaced, or cleared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from requests_queue import clock
from requests_queue.catalog import visibility
from requests_queue.catalog.models import (
    Configuration,
    Item,
    Marketplace,
    Parameter,
    Product,
)
from requests_queue.catalog.representations.products import parameter_by_id
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes.given import Given
from requests_queue.catalog.writes.parameters import STRUCTURED
from requests_queue.errors import Invalid

# What a value of each scope is about besides the product.
_ABOUT = {
    "product": (), "item": ("item",), "marketplace": ("marketplace",),
    "item_marketplace": ("item", "marketplace"),
}  # fmt: skip


@transaction.atomic
def put(product: Product, data: Mapping[str, Any]) -> Configuration:
    """Set a value: `{parameter: {id}, item: {id}?, marketplace: {id}?, value?, …}`.

    A body without `value` and `structured_value` clears it, as connect-cli's `delete` does; what
    is returned then isn't stored. Raises Invalid.
    """
    row_of = products.lock(product)
    given, now = Given(data), clock.shown(clock.now())
    parameter = _parameter(product, given)
    item, marketplace = _about(row_of, parameter, given)
    key = {"parameter": parameter, "item": item, "marketplace": marketplace}
    row = Configuration.objects.filter(**key).first() or Configuration(
        product=product, **key, created=now
    )
    row.value, row.structured_value = _value(parameter, given)
    row.updated = now
    if row.value is None and row.structured_value is None:
        Configuration.objects.filter(**key).delete()
    else:
        row.save()
    return row


def _parameter(product: Product, given: Given) -> Parameter:
    pk = given.id_of("parameter")
    row = Parameter.objects.filter(parameter_by_id(pk), product=product).first()
    if row is None:
        raise Invalid("parameter.id", f"Parameter {pk} does not exist.")
    if row.phase != "configuration" or row.scope not in _ABOUT:
        raise Invalid("parameter.id", f"{pk} is not a parameter of the configuration phase.")
    return row


def _about(
    product: Product, parameter: Parameter, given: Given
) -> tuple[Item | None, Marketplace | None]:
    """Return the item and the marketplace that the value is about; raises Invalid."""
    wanted = _ABOUT[parameter.scope]
    for name in ("item", "marketplace"):
        if name not in wanted and given.data.get(name) not in (None, {}):
            raise given.wrong(name, f"A parameter of scope {parameter.scope} has none.")
    item = marketplace = None
    if "item" in wanted:
        pk = given.id_of("item")
        item = Item.objects.filter(product=product, pk=pk).first()
        if item is None:
            raise Invalid("item.id", f"Item {pk} does not exist.")
    if "marketplace" in wanted:
        pk = given.id_of("marketplace")
        marketplace = visibility.marketplaces(product.owner).filter(pk=pk).first()
        if marketplace is None:
            raise Invalid("marketplace.id", f"Marketplace {pk} does not exist.")
    return item, marketplace


def _value(parameter: Parameter, given: Given) -> tuple[str | None, Any]:
    structured = given.data.get("structured_value")
    if structured in (None, "", {}):
        structured = None
    value = given.text("value", 2000) if given.data.get("value") is not None else None
    if structured is not None and parameter.type not in STRUCTURED:
        raise given.wrong("structured_value", f"A {parameter.type} has none.")
    if structured is not None and not isinstance(structured, dict):
        raise given.wrong("structured_value", "Expected an object.")
    choices = [choice["value"] for choice in parameter.constraints.get("choices") or ()]
    if value and parameter.type in ("dropdown", "choice") and value not in choices:
        raise given.wrong("value", f'"{value}" is not a valid choice.')
    return value, structured
