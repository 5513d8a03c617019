"""Pages: HTML of a template, with the headers that keep a page to this server and its reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cache-Control": "no-store",
    # Addresses of pages may hold what lets their reader in.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Return a page, or a piece of one."""
    answer = render(request, f"portal/{template}", context, status=status)
    for name, value in HEADERS.items():
        answer[name] = value
    return answer


def not_found(request: HttpRequest) -> HttpResponse:
    """Return the page of an address that leads nowhere, or nowhere for its reader."""
    return page(request, "not_found.html", status=404)
