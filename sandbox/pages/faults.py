"""Views of faults: list, arm, release, clear; see `fault_access` for who may."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Conflict, Missing
from sandbox.faults import arming, barriers
from sandbox.faults.kinds import KINDS
from sandbox.models import Fault
from sandbox.pages import fault_access, fault_views
from sandbox.pages.fault_form import FaultForm


@layout.signed_in("GET")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the faults with their counts, and the kinds; htmx polls the list."""
    rows = fault_views.visible(viewer)
    seen = layout.digest([row.digest for row in rows])
    if layout.is_unchanged(request, seen):
        return pages.empty()
    context = {
        "rows": rows,
        "seen": seen,
        "may_clear": any(row.may_change for row in rows),
        "sides": fault_views.kinds_by_side(),
    }
    template = "fault_list" if layout.is_htmx(request) else "faults"
    return layout.render(request, viewer, f"sandbox/{template}.html", context)


@layout.signed_in("GET", "POST")
def new(request: HttpRequest, viewer: Viewer, side: str, kind: str) -> HttpResponse:
    """Show the form of a kind, or arm a fault."""
    if kind not in KINDS or side not in KINDS[kind].sides:
        raise Missing(kind)
    is_post = request.method == "POST"
    form = FaultForm(KINDS[kind], side, viewer, request.POST if is_post else None)
    if is_post and form.is_valid():
        try:
            row = arming.arm(form.spec)
        except Conflict as refused:
            form.add_error("name", str(refused))
        else:
            messages.success(request, f"Fault {row.name} is armed")
            return pages.see_other(reverse("faults"))
    context = {
        "form": form,
        "kind": KINDS[kind],
        "text": KINDS[kind].texts[side],
        "title": fault_views.SIDE_TITLES[side],
    }
    status = 400 if is_post else 200
    return layout.render(request, viewer, "sandbox/fault_new.html", context, status)


@layout.signed_in("POST")
def release(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Send the oldest response that a fault holds, or all."""
    row = _find(request, viewer, pk)
    count = 1 if request.POST.get("count") == "1" else None
    released = barriers.release(row.pk, count)
    text = f"{len(released)} response{'' if len(released) == 1 else 's'} released"
    messages.success(request, text if released else "No response was held")
    return pages.see_other(reverse("faults"))


@layout.signed_in("POST")
def clear(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    row = arming.clear(_find(request, viewer, pk).pk)
    messages.success(request, f"Fault {row.name} cleared: it fired {_times(row.fired)}")
    return pages.see_other(reverse("faults"))


@layout.signed_in("POST")
def clear_all(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Clear all faults that the viewer may change."""
    cleared = 0
    for row, may_change in fault_access.visible(viewer):
        if may_change and _clear(row):
            cleared += 1
    messages.success(request, f"{cleared} fault{'' if cleared == 1 else 's'} cleared")
    return pages.see_other(reverse("faults"))


def _clear(row: Fault) -> bool:
    """Clear a fault; return False if somebody else has cleared it."""
    try:
        arming.clear(row.pk)
    except Missing:
        return False
    return True


def _find(request: HttpRequest, viewer: Viewer, pk: str) -> Fault:
    """Return a fault that the viewer may change; reports and raises Missing."""
    try:
        return fault_access.find(viewer, pk)
    except Missing:
        messages.error(request, "The fault does not exist. It may have been cleared.")
        raise


def _times(count: int) -> str:
    return "never" if not count else "once" if count == 1 else f"{count} times"
