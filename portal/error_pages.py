"""The pages of what went wrong before any view, or in one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from portal import identity, layout, pages


def nothing(request: HttpRequest) -> HttpResponse:
    """Return the page of an address that leads nowhere, in the frame for whoever is signed in."""
    viewer = identity.get_viewer(request) if hasattr(request, "user") else None
    return pages.not_found(request) if viewer is None else layout.not_found(request, viewer)


def failed(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return the page of a failure, which asks nothing of the database: it may be away."""
    return pages.render(request, "failed.html", {"status": status, "message": message}, status)
