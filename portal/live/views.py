"""The view of `/live/`: it checks who asks, and the web server sends the events."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from portal import identity, pages
from portal.live.hub import hub

# The web server's, see `connect_sim.server.deferred`, which this package does not import.
DEFERRED = "connect_sim.deferred"
MAX_TOPICS = 20
_TOPIC = re.compile(r"[a-z]{1,20}(:[A-Za-z0-9_-]{1,40})?")


@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """Send events while topics of the viewer's account change.

    403 without a viewer, whose page then requests its part and is redirected to sign in; 400 for
    topics that no page has; 503 if too many pages are open, or without our web server: pages poll.
    """
    viewer = identity.get_viewer(request)
    if viewer is None or not is_same_origin(request):
        return pages.empty(403)
    shown = frozenset(request.GET.get("topics", "").split())
    if not 0 < len(shown) <= MAX_TOPICS or not all(map(_TOPIC.fullmatch, shown)):
        return pages.error(request, 400, f"topics: Must be 1 to {MAX_TOPICS} topics of pages.")
    deferral = request.META.get(DEFERRED)
    if deferral is None or hub.is_full:
        response = pages.empty(503)
        response["Retry-After"] = "15"
        return response
    response = pages.empty(200)
    response["Content-Type"] = "text/event-stream"
    # nginx would otherwise keep events in its buffer.
    response["X-Accel-Buffering"] = "no"
    deferral.stream = hub.events(viewer.account.pk, shown)
    return response


def is_same_origin(request: HttpRequest) -> bool:
    """Whether no page of another server asks; browsers leave the header out for their own."""
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.get_host()
