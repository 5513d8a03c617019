"""`/media/<model>/<id>/<key>/icon.svg`: the pictures that the API names, drawn from names."""

from __future__ import annotations

import hashlib
from html import escape
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from requests_queue.catalog.models import Account, Marketplace, Product
from requests_queue.catalog.representations import icon_key

BOX = "0 0 64 64"
_MODELS: dict[str, Any] = {"account": Account, "marketplace": Marketplace, "product": Product}


@require_safe
def icon(request: HttpRequest, model: str, pk: str, key: str) -> HttpResponse:
    """Draw an object's initials, for whoever has been told the address; 404 for one made up."""
    told = constant_time_compare(key, icon_key(model, pk))
    rows = _MODELS[model].objects.filter(pk=pk) if told and model in _MODELS else ()
    for row in rows:
        answer = HttpResponse(draw(row.pk, row.name), content_type="image/svg+xml")
        answer["Cache-Control"] = "public, max-age=300"
        return answer
    error = {"error_code": "NFND_000", "errors": [f"Object `{pk}` not found."]}
    return JsonResponse(error, status=404)


def draw(pk: str, name: str) -> str:
    """Return the picture as SVG: the same one for the same id and name, on every machine."""
    # XML has no control characters, not even escaped.
    shown = "".join(c for c in name if c.isprintable())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" viewBox="{BOX}" '
        f'role="img" aria-label="{escape(shown)}">{face(pk, name)}</svg>\n'
    )


def face(pk: str, name: str) -> str:
    """Return what is drawn within the picture's `BOX`."""
    words = [word for word in name.split() if word[0].isalnum()]
    letters = escape("".join(word[0] for word in words[:2]).upper() or "?")
    hue = int.from_bytes(hashlib.sha256(pk.encode()).digest()[:2]) % 360
    return (
        f'<rect width="64" height="64" rx="12" fill="hsl({hue},45%,38%)"/>'
        '<text x="32" y="41" fill="#fff" font-family="system-ui,sans-serif" font-size="26" '
        f'font-weight="600" text-anchor="middle">{letters}</text>'
    )
