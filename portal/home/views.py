"""The view of the first page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal import frame
from portal.acting import Reader


@require_safe
@frame.signed_in
def home(request: HttpRequest, reader: Reader) -> HttpResponse:
    """Show where things are, to whoever is signed in."""
    return frame.shown(request, reader, "home/home.html")
