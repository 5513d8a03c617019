"""The views of the first page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal import layout
from portal.home import page
from portal.identity import Reader


@require_safe
@layout.signed_in
def home(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Show what runs, and what happened and broke in their account, to whoever is signed in."""
    return layout.shown(request, reader, "home/home.html", page.whole(reader.account))


@require_safe
@layout.signed_in
def live(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Return the piece of the first page that changes, to whoever is signed in."""
    return layout.shown(request, reader, "home/live.html", page.live(reader.account))
