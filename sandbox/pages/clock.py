"""Views of the bar's buttons: moves of the clock, and reset. For each signed-in user.

As in the API, everybody who acts as an account may move the clock, which all accounts share.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Missing, Refused
from sandbox import clock_control, snapshots, timeline
from sandbox.moves import MoveResult
from sandbox.pages import clock_bar, move_summary
from sandbox.pages.move_summary import Summary

# By the names of `clock_bar.BUTTONS`.
_MOVES: dict[str, Callable[[], MoveResult]] = {
    "advance-5m": lambda: clock_control.advance(timedelta(minutes=5)),
    "next-attempt": lambda: clock_control.run_next(),
    "advance-1d": lambda: clock_control.advance(timedelta(days=1)),
    "run-until-idle": lambda: clock_control.run_until_idle(),
}


@layout.signed_in("GET")
def state(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Return the part of the bar that htmx polls."""
    if not layout.is_htmx(request):
        return pages.see_other("/")
    state = clock_bar.read(viewer)
    if layout.is_unchanged(request, state.digest):
        return pages.empty()
    return layout.render(request, viewer, "sandbox/bar_state.html", {"state": state})


@layout.signed_in("POST")
def move(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Move the clock; return the summary, or without htmx to the page that shows it."""
    run = _MOVES.get(request.POST.get("move", ""))
    if run is None:
        raise Missing("move")
    since, status = timeline.now(), 200
    try:
        summary = move_summary.of_move(run(), since, viewer)
    except Refused as refused:
        summary, status = move_summary.of_refusal(refused), refused.status
    if layout.is_htmx(request):
        context = {"state": clock_bar.read(viewer), "summary": summary}
        return layout.render(request, viewer, "sandbox/bar_moved.html", context, status)
    return _back(request, summary, pages.local_path(request.POST.get("next", "")))


@layout.signed_in("GET", "POST")
def reset(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Ask for confirmation, or go back to the demo data."""
    if request.method != "POST":
        back = pages.local_path(request.GET.get("next", ""))
        return layout.render(request, viewer, "sandbox/reset.html", {"next": back or "/"})
    try:
        summary = move_summary.of_reset(snapshots.reset())
    except Refused as refused:
        summary = move_summary.of_refusal(refused)
    return _back(request, summary, _section(request.POST.get("next", "")))


def _back(request: HttpRequest, summary: Summary, address: str) -> HttpResponse:
    clock_bar.keep(request, summary)
    return pages.see_other(address or reverse("home"))


def _section(address: str) -> str:
    """Return the first page of the address's section: its object may be gone after a reset."""
    path = pages.local_path(address).partition("?")[0]
    return next((item.path for item in layout.NAVIGATION if path and item.contains(path)), "")
