"""Views of snapshots: list, save, restore, delete, compare; for signed-in users, as in the API.

A comparison shows objects of all accounts, so it is for administrators only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Missing, Refused
from sandbox.pages import clock
from sandbox.pages.clock import GOOD, Summary
from sandbox.world import snapshots


@layout.signed_in("GET", "POST")
def overview(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List the snapshots, or save the present under a name."""
    error, name, status = "", "", 200
    if request.method == "POST":
        name = request.POST.get("name", "").strip()
        try:
            snapshots.save(name)
        except Refused as refused:
            error, status = refused.errors[0].message, refused.status
        else:
            return _done(request, Summary(f"Snapshot {name} saved.", GOOD))
    rows: list[dict[str, Any]] = []
    try:
        rows = _rows()
    except Refused as refused:
        # A database whose user may not create schemas.
        error, status = refused.errors[0].message, refused.status
    context = {"rows": rows, "error": error, "name": name, "may_compare": _may_compare(viewer)}
    return layout.render(request, viewer, "sandbox/snapshots.html", context, status)


@layout.signed_in("GET", "POST")
def restore(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Ask for confirmation, or go back to a snapshot."""
    if request.method != "POST":
        return _ask(request, viewer, name, "restore")
    try:
        return _done(
            request, clock.of_replacement(f"Snapshot {name} restored", snapshots.restore(name))
        )
    except Missing:
        raise
    except Refused as refused:
        return _done(request, clock.of_refusal(refused))


@layout.signed_in("GET", "POST")
def delete(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Ask for confirmation, or delete a snapshot."""
    if request.method != "POST":
        return _ask(request, viewer, name, "delete")
    try:
        snapshots.delete(name)
    except Missing:
        raise
    except Refused as refused:
        return _done(request, clock.of_refusal(refused))
    return _done(request, Summary(f"Snapshot {name} deleted.", GOOD))


@layout.signed_in("GET")
def compare(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Show what has changed since a snapshot was saved. Administrators only."""
    if not _may_compare(viewer):
        raise Missing(name)
    try:
        diff = snapshots.compare(name, snapshots.PRESENT)
    except Missing:
        raise
    except Refused as refused:
        return _done(request, clock.of_refusal(refused))
    context = {"name": name, "diff": diff}
    return layout.render(request, viewer, "sandbox/snapshot_diff.html", context)


def _may_compare(viewer: Viewer) -> bool:
    return bool(viewer.user.is_superuser)


def _ask(request: HttpRequest, viewer: Viewer, name: str, action: str) -> HttpResponse:
    try:
        found = next((row for row in _rows() if row["name"] == name), None)
    except Refused as refused:
        return _done(request, clock.of_refusal(refused))
    if found is None or (action == "delete" and found["is_seed"]):
        raise Missing(name)
    context = {"row": found, "action": action}
    return layout.render(request, viewer, "sandbox/snapshot_action.html", context)


def _done(request: HttpRequest, summary: Summary) -> HttpResponse:
    clock.keep_summary(request, summary)
    return pages.see_other(reverse("snapshots"))


def _rows() -> list[dict[str, Any]]:
    """Return the snapshots, whether this version can restore each, and whether it is the seed."""
    return [
        {
            "name": each.name,
            "created": datetime.fromisoformat(each.created) if each.created else None,
            "now": datetime.fromisoformat(each.now) if each.now else None,
            "is_usable": snapshots.is_usable(each),
            "is_seed": each.name == snapshots.SEED,
        }
        for each in snapshots.all_snapshots()
    ]
