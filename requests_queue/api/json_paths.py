"""Values in JSON by the keys that lead to them: names in objects, numbers in lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def value_at(node: Any, keys: Iterable[str]) -> Any:
    """Return the value to which the keys lead, None if there is none."""
    for key in keys:
        if isinstance(node, Mapping):
            node = node.get(key)
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node


def set_value(node: Any, path: str, value: Any) -> None:
    """Set the value at a dotted path; creates missing objects, but no elements of lists."""
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[last] = value
