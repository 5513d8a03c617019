"""`/portal.css`: the stylesheets of all page areas as one file, because requests cost more."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import conditional_page, require_safe

FOLDER = Path(__file__).parent / "static" / "portal"
# The order of the cascade: shared parts, page areas, and utilities, which override both.
NAMES = [
    "base", "layout", "components", "forms",
    "home", "webhooks", "deliveries", "queues", "products", "inquiry",
    "utilities",
]  # fmt: skip


@require_safe
@conditional_page
def stylesheet(request: HttpRequest) -> HttpResponse:
    """Return the stylesheets, joined; not modified where the browser's copy is current."""
    text = "\n".join((FOLDER / f"{name}.css").read_text() for name in NAMES)
    headers = {"Cache-Control": "max-age=60"}
    return HttpResponse(text, content_type="text/css; charset=utf-8", headers=headers)
