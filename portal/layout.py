"""The layout that all pages share: sign-in check, navigation, alarms, polling, error pages.

A page is a view behind `signed_in` that takes the request and its viewer and returns `render`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from portal import alarms, identity, introductions, pages
from portal.identity import Viewer
from requests_queue import clock
from requests_queue.errors import Missing

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """A link of the main navigation, and the path that its pages begin with."""

    name: str
    path: str

    def contains(self, path: str) -> bool:
        """Whether a page belongs to it."""
        return path == "/" if self.path == "/" else path.startswith(self.path)


# Apps above the portal append theirs with their URLs.
NAVIGATION: list[NavigationItem] = [
    NavigationItem("Home", "/"),
    NavigationItem("Webhooks", "/webhooks/"),
    NavigationItem("Deliveries", "/deliveries/"),
    NavigationItem("Queues", "/queues/"),
    NavigationItem("Products", "/products/"),
]


@dataclass(frozen=True, slots=True)
class Bar:
    """A row below the navigation of every page; its template has the result of `load` as `data`.

    `load` gets the request, which the bar may keep state in, and the viewer.
    """

    template: str
    load: Callable[[HttpRequest, Viewer], Any]


# Apps above the portal append theirs with their URLs.
BARS: list[Bar] = []


def signed_in(
    *methods: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, Viewer, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Call the view with the viewer; redirect to the sign-in page if there is none.

    Other methods are refused; HEAD is allowed with GET. `Missing` becomes the page for 404.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, Viewer, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @require_http_methods([*methods, *(["HEAD"] if "GET" in methods else [])])
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            viewer = identity.get_viewer(request)
            if viewer is None:
                return without_viewer(request)
            is_read = request.method in ("GET", "HEAD")
            try:
                with clock.reading_once() if is_read else nullcontext():
                    return view(request, viewer, *args, **kwargs)
            except Missing:
                return not_found(request)

        return guarded

    return decorate


def render(
    request: HttpRequest,
    viewer: Viewer,
    template: str,
    context: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Return a page with the layout's context, or the part of one that htmx requests."""
    now, is_part = clock.now(), is_htmx(request)
    # A refusal has the URL of a page, but does not explain it.
    introduction = "" if is_part or status != 200 else introductions.sentence(request)
    shared = {
        "viewer": viewer,
        "is_htmx": is_part,
        "now": now,
        "navigation": [(item, item.contains(request.path)) for item in NAVIGATION],
        # Called by the template only, so that parts of pages don't query them.
        "bars": partial(_fill_bars, request, viewer),
        "alarms": alarms.current(request, viewer.account),
        "introduction": introduction,
    }
    response = pages.render(request, template, {**(context or {}), **shared}, status)
    if introduction:
        introductions.remember(request, response)
    return response


def _fill_bars(request: HttpRequest, viewer: Viewer) -> list[tuple[str, Any]]:
    """Return the template and the data of each bar."""
    return [(bar.template, bar.load(request, viewer)) for bar in BARS]


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx requests a part of a page."""
    return "HX-Request" in request.headers


def digest(*shown: Any) -> str:
    """Return a value that changes with what a page shows, for the parameter `seen`."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def is_unchanged(request: HttpRequest, current: str) -> bool:
    """Whether htmx polls with `seen` and the page still has that digest: the response is 204."""
    return is_htmx(request) and request.GET.get("seen") == current


def not_found(request: HttpRequest) -> HttpResponse:
    """Return the page for 404, with the layout if a user is signed in."""
    viewer = identity.get_viewer(request) if hasattr(request, "user") else None
    if viewer is None:
        return pages.not_found(request)
    return render(request, viewer, "not_found_here.html", status=404)


def without_viewer(request: HttpRequest) -> HttpResponse:
    """Return the response to a request that needs a signed-in user with an account."""
    if request.user.is_authenticated:
        return pages.render(request, "no_account.html", status=403)
    if is_htmx(request):
        # Part of a page can't show the sign-in form, so the page itself is reloaded.
        response = pages.empty(403)
        response["HX-Refresh"] = "true"
        return response
    if request.method not in ("GET", "HEAD"):
        return pages.see_other(settings.LOGIN_URL)
    return pages.see_other(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")
