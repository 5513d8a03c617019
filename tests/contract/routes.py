"""The served operations below `/public/v1`, from the URL patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver

from tests.contract.document import METHODS

PREFIX = "public/v1/"


def operations() -> set[tuple[str, str]]:
    """Return the served operations as (method, path), with parameters as `{}`."""
    return {
        (method, path)
        for path, view in views()
        for method in (name.upper() for name in getattr(view, "actions", {}))
        if method in METHODS
    }


def views(prefix: str = PREFIX) -> Iterator[tuple[str, Any]]:
    """Yield the paths below a prefix, with their views."""
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLResolver) and str(entry.pattern) == prefix:
            yield from _below(entry.url_patterns)


def collections_by_path() -> dict[str, Any]:
    """Return the views of collections by path."""
    collections: dict[str, Any] = {}
    for path, view in views():
        if getattr(view, "actions", None) and ("get" in view.actions or path not in collections):
            collections[path] = view
    return collections


def elsewhere() -> set[str]:
    """Return the served paths other than operations, inside and outside of the API."""
    inside = {PREFIX + path[1:] for path, view in views() if not getattr(view, "actions", None)}
    return inside | {
        prefix + path[1:]
        for entry in get_resolver().url_patterns
        if (prefix := str(entry.pattern)) != PREFIX and prefix != "admin/"
        for path, _ in (views(prefix) if isinstance(entry, URLResolver) else [("/", None)])
    }


def _below(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _below(entry.url_patterns, path)
        elif isinstance(entry, URLPattern):
            plain = simplify_regex(path) if path.startswith("^") else f"/{path}"
            yield re.sub(r"<[^>]+>", "{}", plain), entry.callback


def collections() -> set[str]:
    """Return the top-level lists, such as `/tier/accounts`."""
    return {path for method, path in operations() if method == "GET" and "{}" not in path}
