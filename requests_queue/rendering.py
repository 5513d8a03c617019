"""Templates of products, filled with an object's values: `{{ asset.params.region.value }}`.

A placeholder is a dotted path and nothing else; it is looked up, never executed. What is filled
in is not looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return the template with each placeholder replaced by the text at its path.

    A path leads through keys of objects and ids of a list's elements. One that leads nowhere, or
    to an object or a list, becomes empty.
    """
    return _PLACEHOLDER.sub(lambda found: _text(look_up(values, found[1].strip())), template)


def look_up(node: Any, path: str) -> Any:
    """Return what stands at a dotted path, or None.

    Of several names that fit the longest counts, so that an id with dots in it is found too.
    """
    while path:
        best = ""
        inner: Any = None
        for name, value in _named(node):
            size = len(name)
            # Compared in place: a path may be long, and most names don't fit.
            if size > len(best) and path.startswith(name) and path[size : size + 1] in ("", "."):
                best, inner = name, value
        if not best:
            return None
        node, path = inner, path[len(best) + 1 :]
    return node


def _named(node: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(node, dict):
        return node.items()
    if isinstance(node, list):
        found = ((item.get("id"), item) for item in node if isinstance(item, dict))
        return [(str(name), item) for name, item in found if name]
    return ()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""
