"""The views of the first page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal import layout
from portal.home import page
from portal.identity import Viewer


@require_safe
@layout.signed_in
def home(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show what runs, and what happened and broke in their account, to whoever is signed in."""
    return layout.render(request, viewer, "home/home.html", page.whole(viewer.account))


@require_safe
@layout.signed_in
def live(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the piece of the first page that changes, to whoever is signed in."""
    return layout.render(request, viewer, "home/live.html", page.live(viewer.account))
