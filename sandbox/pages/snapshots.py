"""Pages of snapshots: save, restore, compare and delete them, download and import their files.

As in the API, everybody who acts as an account may save and restore, which concerns all accounts.
Only a comparison and a file are for administrators, since they show objects of all accounts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from requests_queue.errors import Missing, Refused
from sandbox.pages.world import (
    GOOD,
    Summary,
    counted,
    keep_summary,
    of_refusal,
    of_replacement,
)
from sandbox.snapshot_files import exporting, importing
from sandbox.snapshot_files.importing import Imported
from sandbox.world import snapshots

_View = Callable[[HttpRequest, Viewer, str], HttpResponse]


def _refusals_shown(view: _View) -> _View:
    """Show a refusal of the view on the list of snapshots."""

    @wraps(view)
    def shown(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
        try:
            return view(request, viewer, name)
        except Missing:
            raise
        except Refused as refused:
            return _done(request, of_refusal(refused))

    return shown


@layout.signed_in("GET", "POST")
def snapshot_list(request: HttpRequest, viewer: Viewer) -> HttpResponse:
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
    context = {"rows": rows, "error": error, "name": name, "may_see_all": _may_see_all(viewer)}
    return layout.render(request, viewer, "sandbox/snapshots.html", context, status)


@layout.signed_in("GET", "POST")
@_refusals_shown
def restore(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Ask for confirmation, or go back to a snapshot."""
    if request.method != "POST":
        return _ask(request, viewer, name, "restore")
    return _done(request, of_replacement(f"Snapshot {name} restored", snapshots.restore(name)))


@layout.signed_in("GET", "POST")
@_refusals_shown
def delete(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Ask for confirmation, or delete a snapshot."""
    if request.method != "POST":
        return _ask(request, viewer, name, "delete")
    snapshots.delete(name)
    return _done(request, Summary(f"Snapshot {name} deleted.", GOOD))


@layout.signed_in("GET", "POST")
@_refusals_shown
def export(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Ask whether to include secrets, or return a snapshot as a file. Administrators only."""
    if not _may_see_all(viewer):
        raise Missing(name)
    if request.method != "POST":
        return _ask(request, viewer, name, "export")
    shown = [viewer.account.pk] if request.POST.get("secrets") else []
    return exporting.response(name, shown)


class ImportForm(forms.Form):
    """A snapshot's file, and the name under which it is saved."""

    file = forms.FileField(
        label="File",
        help_text="What Download or `connect-sim snapshot export` has written.",
        widget=forms.FileInput({"accept": ".gz"}),
    )
    name = forms.CharField(
        required=False,
        label="Name",
        max_length=64,
        help_text="Default: the name that it was exported from.",
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    replace = forms.BooleanField(required=False, label="Replace a snapshot of this name")


@layout.signed_in("GET", "POST")
def import_(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Ask for a file, or save it as a snapshot."""
    form, status = ImportForm(), 200
    if request.method == "POST":
        form, status = ImportForm(request.POST, request.FILES), 400
        if form.is_valid():
            values = form.cleaned_data
            try:
                imported = importing.import_file(
                    values["file"], values["name"].strip(), replace=values["replace"]
                )
            except Refused as refused:
                status = refused.status
                for error in refused.errors:
                    # A name that exists is an error without a path.
                    field = "name" if refused.code == "SNP_001" else error.path or "file"
                    form.add_error(field, error.message)
            else:
                return _done(request, of_import(imported))
    return layout.render(request, viewer, "sandbox/snapshot_import.html", {"form": form}, status)


def of_import(imported: Imported) -> Summary:
    """Return what an import did. No ids: other accounts' webhooks are none of the viewer's."""
    more = []
    if imported.webhooks or imported.products:
        counts = [
            counted(len(imported.webhooks), "webhook"),
            counted(len(imported.products), "product"),
        ]
        more.append(f"New secrets: {' and '.join(counts)}.")
    if imported.headers:
        more.append(f"Without values of headers: {counted(len(imported.headers), 'webhook')}.")
    return Summary(f"Snapshot {imported.snapshot.name} imported.", GOOD, "", " ".join(more))


@layout.signed_in("GET")
@_refusals_shown
def compare(request: HttpRequest, viewer: Viewer, name: str) -> HttpResponse:
    """Show what has changed since a snapshot was saved. Administrators only."""
    if not _may_see_all(viewer):
        raise Missing(name)
    diff = snapshots.compare(name, snapshots.PRESENT)
    changes = [
        {**each, "field": field, "then": _text(values["a"]), "now": _text(values["b"])}
        for each in diff.changed
        for field, values in each["fields"].items()
    ]
    context = {"name": name, "diff": diff, "changes": changes}
    return layout.render(request, viewer, "sandbox/snapshot_diff.html", context)


def _text(value: Any) -> str:
    """Return a value of JSON as the page shows it."""
    if isinstance(value, str):
        return value
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def _may_see_all(viewer: Viewer) -> bool:
    return bool(viewer.user.is_superuser)


def _ask(request: HttpRequest, viewer: Viewer, name: str, action: str) -> HttpResponse:
    found = next((row for row in _rows() if row["name"] == name), None)
    if found is None or (action == "delete" and found["is_seed"]):
        raise Missing(name)
    context = {"row": found, "action": action}
    template = "export" if action == "export" else "action"
    return layout.render(request, viewer, f"sandbox/snapshot_{template}.html", context)


def _done(request: HttpRequest, summary: Summary) -> HttpResponse:
    keep_summary(request, summary)
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
