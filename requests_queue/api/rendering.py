"""Rendering of product templates with an object's values: `{{ asset.params.region.value }}`.

A placeholder is a dotted path that is looked up, never executed. Inserted values are not rendered
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_SHORT = 200  # characters of a path whose beginnings are looked up one after another
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return the template with each placeholder replaced by the text at its path.

    A path consists of keys of objects and ids of list elements. A path without a value, or to
    an object or a list, is replaced by nothing.
    """
    return _PLACEHOLDER.sub(lambda found: _text(look_up(values, found[1].strip())), template)


def look_up(node: Any, path: str) -> Any:
    """Return the value at a dotted path, or None.

    The longest matching name wins, so that ids may contain dots.
    """
    while path:
        best, inner = _best(node, path)
        if not best:
            return None
        node, path = inner, path[len(best) + 1 :]
    return node


def _best(node: Any, path: str) -> tuple[str, Any]:
    """Return the longest name that the path begins with, and its value; an empty one for none."""
    best, inner = "", None
    if isinstance(node, dict) and len(path) <= _SHORT:
        while path and path not in node:
            path = path.rpartition(".")[0]
        return path, node.get(path)
    for name, value in _named(node):
        size = len(name)
        # Compare in place: a path may be long, and most names do not match.
        if size > len(best) and path.startswith(name) and path[size : size + 1] in ("", "."):
            best, inner = name, value
    return best, inner


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
