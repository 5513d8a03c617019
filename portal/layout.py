"""The frame of the portal's pages: who may read them, the way between them, and how they look.

A page is a function of the request and its viewer, behind `signed_in`, that answers by `shown`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from portal import identity, pages
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.errors import Missing
from webhooks import webhook_health

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """An entry of the navigation: its name, and the address that its pages begin with."""

    name: str
    address: str

    def holds(self, path: str) -> bool:
        """Whether a page belongs to it."""
        return path == "/" if self.address == "/" else path.startswith(self.address)


# A room above the portal adds its own when its app is ready.
NAVIGATION: list[NavigationItem] = [
    NavigationItem("Home", "/"),
    NavigationItem("Webhooks", "/webhooks/"),
    NavigationItem("Deliveries", "/deliveries/"),
    NavigationItem("Queues", "/queues/"),
    NavigationItem("Products", "/products/"),
]

# So many webhooks that are out of order are named on every page.
ALARMS = 2


def signed_in(
    view: Callable[Concatenate[HttpRequest, Viewer, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Let in whoever is signed in and acts as an account; others are sent to sign in.

    `Missing` becomes the page of an address that leads nowhere for its viewer.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        viewer = identity.get_viewer(request)
        if viewer is None:
            return _turned_away(request)
        try:
            return view(request, viewer, *args, **kwargs)
        except Missing:
            return not_found(request, viewer)

    return guarded


def render(
    request: HttpRequest,
    viewer: Viewer,
    template: str,
    context: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Return a page in its frame, or the piece of one that `is_piece` asks for."""
    return pages.render(request, template, {**(context or {}), **_frame(request, viewer)}, status)


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks for what has changed of a page."""
    return "HX-Request" in request.headers


def not_found(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the page of what isn't there, or not for the account that is acted as."""
    return render(request, viewer, "nothing.html", status=404)


def _frame(request: HttpRequest, viewer: Viewer) -> dict[str, Any]:
    return {
        "viewer": viewer,
        "is_piece": is_htmx(request),
        "now": clock.now(),
        "places": [(place, place.holds(request.path)) for place in NAVIGATION],
        # Asked for by the template, so that pieces of pages don't.
        "alarms": partial(webhook_health.out_of_order, viewer.account, ALARMS + 1),
        "most_alarms": ALARMS,
    }


def _turned_away(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return pages.render(request, "no_account.html", status=403)
    if is_htmx(request):
        # A piece of a page can't sign anybody in: the page itself is loaded anew, and asks.
        answer = pages.render(request, "empty.html", status=403)
        answer["HX-Refresh"] = "true"
        return answer
    if request.method not in ("GET", "HEAD"):
        return pages.see_other(settings.LOGIN_URL)
    return pages.see_other(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")
