"""The items of a request: found by global id, local id or MPN, quantities as strings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from requests_queue.catalog.models import Item, Product
from requests_queue.errors import FieldError, Invalid
from requests_queue.fields import Values

Items = list[dict[str, Any]]
UNLIMITED = "unlimited"


def ordered(product: Product, given: list[Values] | None, held: Items) -> Items:
    """Return the items as the API shows them: those ordered, and those held before.

    `given` is `[{"id" | "global_id" | "mpn", "quantity"}]`; quantities may be numbers or
    strings. Items that the asset holds and that are not given stay as they are.
    Raises Invalid.
    """
    if not given:
        raise Invalid("asset.items", "This list may not be empty.")
    known = _by_every_name(product)
    result = {row["global_id"]: {**row, "old_quantity": row["quantity"]} for row in held}
    for entry in given:
        item = _find(known, entry)
        before = result.get(item.id, {}).get("old_quantity", "0")
        result[item.id] = _shape(item, _quantity(item, entry.get("quantity")), before)
    return list(result.values())


def _by_every_name(product: Product) -> dict[str, Item]:
    rows = list(Item.objects.filter(product=product))
    names = {row.mpn: row for row in rows} | {row.local_id: row for row in rows}
    return names | {row.id: row for row in rows}


def _find(known: Mapping[str, Item], entry: Values) -> Item:
    names = [entry[key] for key in ("global_id", "id", "mpn") if entry.get(key)]
    for name in names:
        if name in known:
            return known[name]
    raise Invalid("asset.items", f"Item {names[0] if names else '(without id)'} does not exist.")


def _quantity(item: Item, given: Any) -> str:
    if item.type == "PPU":
        return UNLIMITED
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        raise _wrong(item, "is not a number.") from None
    if isinstance(given, bool) or not number.is_finite() or not 0 <= number < 10**9:
        raise _wrong(item, "is not a number from 0.")
    if item.precision == "Integer" and number != number.to_integral_value():
        raise _wrong(item, "is a whole number.")
    return f"{number.normalize():f}" if number else "0"


def _wrong(item: Item, message: str) -> Invalid:
    sentence = f"Quantity of {item.local_id} {message}"
    return Invalid.of([FieldError("asset.items", sentence, entry=item.local_id)])


def _shape(item: Item, quantity: str, old_quantity: str) -> dict[str, Any]:
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
    """Whether the order changes no quantity."""
    return all(row["quantity"] == row["old_quantity"] for row in items)
