"""Templates of products, filled with an object's values: `{{ asset.params.region.value }}`.

A placeholder is a dotted path and nothing else; it is looked up, never executed. What is filled
in is not looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse

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
    if not path:
        return node
    best = ""
    inner: Any = None
    for name, value in _named(node):
        if len(name) > len(best) and (path == name or path.startswith(f"{name}.")):
            best, inner = name, value
    return look_up(inner, path[len(best) + 1 :]) if best else None


def _named(node: Any) -> list[tuple[str, Any]]:
    if isinstance(node, Mapping):
        return [(str(key), value) for key, value in node.items()]
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        return [(str(item["id"]), item) for item in node if isinstance(item, Mapping)
                and item.get("id")]  # fmt: skip
    return []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def markdown(text: str) -> HttpResponse:
    """Return the answer of a `render` call: 200, `text/markdown`."""
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")
