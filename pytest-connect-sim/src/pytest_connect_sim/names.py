"""Items and parameters by the names that people use, with errors that list the known names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]


class UnknownName(LookupError):
    """No item or parameter has this name, or several have it; the text lists the known names."""

    def __str__(self) -> str:
        return str(self.args[0])


def find(
    rows: Sequence[Mapping[str, Any]], name: str, keys: Sequence[str], what: str, shown: str
) -> Mapping[str, Any]:
    """Return the row that has this name in one of the keys; the first key that has it wins.

    `shown` is the key whose values the errors list.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of {what} is a str, not {type(name).__name__}.")
    for key in keys:
        found = [row for row in rows if row.get(key) == name]
        if len(found) > 1:
            ids = ", ".join(str(row.get(keys[0])) for row in found)
            raise UnknownName(f"{name!r} is the {key} of several of {what}: {ids}. Use an id.")
        if found:
            return found[0]
    known = ", ".join(str(row.get(shown)) for row in rows) or "none"
    raise UnknownName(f"There is no {name!r} among {what}. Known: {known}.")


def item(items: Sequence[Mapping[str, Any]], name: str, product: str) -> Mapping[str, Any]:
    """Return an item by global id, local id or MPN, or by its name."""
    return find(items, name, ("id", "local_id", "mpn", "name"), f"the items of {product}", "mpn")


def ordered(
    items: Sequence[Mapping[str, Any]], quantities: Mapping[str, Any] | None, product: str
) -> list[Json]:
    """Return the items of an order's body; by default one of each."""
    if quantities is None:
        return [{"id": row["id"], "quantity": 1} for row in items]
    if not isinstance(quantities, Mapping):
        raise TypeError('Items are a mapping of names to quantities: {"mailbox": 5}.')
    rows: list[Json] = []
    for name, quantity in quantities.items():
        pk = item(items, name, product)["id"]
        if any(row["id"] == pk for row in rows):
            raise UnknownName(f"{pk} is named twice among the items.")
        rows.append({"id": pk, "quantity": quantity})
    return rows


def values(
    params: Iterable[Mapping[str, Any]], given: Mapping[str, Any] | None, product: str
) -> list[Json]:
    """Return the parameters of a body by their names or ids; objects are structured values."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise TypeError('Parameters are a mapping of names to values: {"domain": "acme.example"}.')
    rows = list(params)
    what = f"the parameters of {product}"
    return [
        _value(str(find(rows, name, ("name", "id", "title"), what, "name")["name"]), value)
        for name, value in given.items()
    ]


def _value(name: str, value: Any) -> Json:
    if isinstance(value, Mapping):
        return {"id": name, "structured_value": dict(value)}
    if isinstance(value, (list, tuple)):
        return {"id": name, "value": json.dumps(list(value))}
    return {"id": name, "value": value}
