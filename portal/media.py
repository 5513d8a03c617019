"""`/media/…`: pictures of products, icons drawn from names, the stylesheet and the script.

The URL of a picture or icon contains a key derived from the object, which is the permission to read
it. The API returns the URL only to accounts that may see the object.
"""

from __future__ import annotations

import hashlib
import re
from html import escape
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import conditional_page, require_safe

from requests_queue.catalog.models import Account, Marketplace, Product, ProductMedia
from requests_queue.catalog.representations import icon_key
from requests_queue.catalog.representations.products import thumbnail_key

VIEW_BOX = "0 0 64 64"
_MODELS: dict[str, Any] = {"account": Account, "marketplace": Marketplace, "product": Product}
STYLESHEETS = Path(__file__).parent / "static" / "portal"
# The order of the cascade: shared parts, page areas, and utilities, which override both.
STYLESHEET_NAMES = [
    *("base", "layout", "components", "forms"),
    *("home", "webhooks", "deliveries", "queues", "products", "inquiry", "palette"),
    "utilities",
]
# Files of apps above the portal, which append theirs: before the utilities.
MORE_STYLESHEETS: list[Path] = []
# The scripts of all pages with the layout: what others call, and then each in a block of its own,
# so that their names don't collide.
SHARED_SCRIPTS = ["layout", "shortcuts"]
SCRIPTS = ["live", "palette", "home", "webhooks", "deliveries", "queues"]
_OMITTED = re.compile(r"/\*.*?\*/|^\s*//[^\n]*\n|^\s+", re.DOTALL | re.MULTILINE)


@require_safe
@gzip_page
@cache_control(max_age=60)
@conditional_page
def stylesheet(request: HttpRequest) -> HttpResponse:
    """Return the stylesheets of all page areas as one file, because requests cost more."""
    *files, utilities = (STYLESHEETS / f"{name}.css" for name in STYLESHEET_NAMES)
    return _joined("css", [file.read_text() for file in [*files, *MORE_STYLESHEETS, utilities]])


@require_safe
@gzip_page
@cache_control(max_age=60)
@conditional_page
def script(request: HttpRequest) -> HttpResponse:
    """Return the scripts of all page areas as one file, for the same reason."""
    shared = [(STYLESHEETS / f"{name}.js").read_text() for name in SHARED_SCRIPTS]
    own = ["{\n" + (STYLESHEETS / f"{name}.js").read_text() + "}" for name in SCRIPTS]
    return _joined("javascript", ['"use strict";', *shared, *own])


def _joined(kind: str, texts: list[str]) -> HttpResponse:
    """Return texts as one file without comments and indentation."""
    content = _OMITTED.sub("", "\n".join(texts))
    return HttpResponse(content, content_type=f"text/{kind}; charset=utf-8")


@require_safe
def picture(request: HttpRequest, pk: str, key: str, name: str) -> HttpResponse:
    """Return a product's picture; 404 for a wrong key, as after the picture was replaced."""
    row = ProductMedia.objects.defer("content").filter(pk=pk).first()
    if row is None or not constant_time_compare(key, thumbnail_key(row)):
        return _not_found(pk)
    return HttpResponse(
        bytes(row.content),
        content_type=row.content_type,
        headers={
            "Cache-Control": "private, max-age=300",
            # An uploaded SVG must not run scripts, even when it is opened on its own.
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    )


@require_safe
def icon(request: HttpRequest, model: str, pk: str, key: str) -> HttpResponse:
    """Return an object's initials as SVG; 404 for a wrong key."""
    has_key = constant_time_compare(key, icon_key(model, pk))
    row = _MODELS[model].objects.filter(pk=pk).first() if has_key and model in _MODELS else None
    if row is None:
        return _not_found(pk)
    headers = {"Cache-Control": "public, max-age=300"}
    content = icon_file(row.pk, row.name)
    return HttpResponse(content, content_type="image/svg+xml", headers=headers)


def icon_file(pk: str, name: str) -> str:
    """Return the SVG of an icon."""
    # XML has no control characters, not even escaped.
    label = escape("".join(c for c in name if c.isprintable()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="{VIEW_BOX}" '
        f'role="img" aria-label="{label}">{icon_content(pk, name)}</svg>\n'
    )


def icon_content(pk: str, name: str) -> str:
    """Return the SVG elements of an icon: always the same for the same id and name."""
    words = [word for word in name.split() if word[0].isalnum()]
    letters = escape("".join(word[0] for word in words[:2]).upper() or "?")
    hue = int.from_bytes(hashlib.sha256(pk.encode()).digest()[:2]) % 360
    return (
        f'<rect width="64" height="64" rx="12" fill="hsl({hue},45%,38%)"/>'
        '<text x="32" y="41" fill="#fff" font-family="system-ui,sans-serif" font-size="26" '
        f'font-weight="600" text-anchor="middle">{letters}</text>'
    )


def _not_found(pk: str) -> HttpResponse:
    error = {"error_code": "NFND_000", "errors": [f"Object `{pk}` not found."]}
    return JsonResponse(error, status=404)
