"""Items of an order, named by global id, local id or MPN; quantities are strings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from requests_queue.api.fields import Values
from requests_queue.catalog.models import Item, Product
from requests_queue.errors import FieldError, Invalid

Items = list[dict[str, Any]]
UNLIMITED = "unlimited"


def order_items(product: Product, ordered: list[Values] | None, current: Items) -> Items:
    """Return the items of an order in the API's form, with new and old quantities.

    `ordered` is `[{"id" | "global_id" | "mpn", "quantity"}]`; quantities may be numbers or
    strings. `current` items of the asset that are not ordered stay as they are.
    Raises Invalid.
    """
    if not ordered:
        raise Invalid("asset.items", "This list may not be empty.")
    rows = list(product.items.all())
    # Of equal names ids win, then local ids.
    by_name = {row.mpn: row for row in rows} | {row.local_id: row for row in rows}
    by_name |= {row.id: row for row in rows}
    result = {row["global_id"]: {**row, "old_quantity": row["quantity"]} for row in current}
    for entry in ordered:
        item = _find(by_name, entry)
        before = result.get(item.id, {}).get("old_quantity", "0")
        result[item.id] = _represent(item, _quantity(item, entry.get("quantity")), before)
    return list(result.values())


def _find(by_name: Mapping[str, Item], entry: Values) -> Item:
    names = [entry[key] for key in ("global_id", "id", "mpn") if entry.get(key)]
    for name in names:
        if name in by_name:
            return by_name[name]
    raise Invalid("asset.items", f"Item {names[0] if names else '(without id)'} does not exist.")


def _quantity(item: Item, value: Any) -> str:
    if item.type == "PPU":
        return UNLIMITED
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _invalid(item, "is not a number.") from None
    if isinstance(value, bool) or not number.is_finite() or not 0 <= number < 10**9:
        raise _invalid(item, "must be at least 0 and less than 1000000000.")
    if item.precision == "Integer" and number != number.to_integral_value():
        raise _invalid(item, "must be a whole number.")
    return f"{number.normalize():f}" if number else "0"


def _invalid(item: Item, message: str) -> Invalid:
    sentence = f"Quantity of {item.local_id} {message}"
    return Invalid.of([FieldError("asset.items", sentence, entry=item.local_id)])


def _represent(item: Item, quantity: str, old_quantity: str) -> dict[str, Any]:
    return {
        "id": item.local_id,
        "global_id": item.id,
        "mpn": item.mpn,
        "display_name": item.name,
        "item_type": item.type,
        "period": item.period,
        "type": item.unit.get("title", ""),
        "quantity": quantity,
        "old_quantity": old_quantity,
        "params": [],
    }


def is_unchanged(items: Items) -> bool:
    """Return whether the order changes no quantity."""
    return all(row["quantity"] == row["old_quantity"] for row in items)
