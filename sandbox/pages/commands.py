"""The sandbox's entries of the command palette: kinds of faults, and faults by name or ID."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from portal.commands import MAX_FOUND, Command
from portal.identity import Viewer
from sandbox.faults import armed
from sandbox.faults.kinds import SIDES
from sandbox.pages import fault_access, fault_views


def faults(viewer: Viewer) -> Iterator[Command]:
    """Return the form of each kind of fault."""
    for side, title, kinds in fault_views.kinds_by_side():
        for kind, _ in kinds:
            address = reverse("fault-new", args=[side, kind.name])
            yield Command(f"Arm fault {kind.name}…", address, title, "new")


def find_faults(viewer: Viewer, text: str) -> Iterator[Command]:
    """Return the faults that are not cleared, by a part of their name or id."""
    # Without any in this process, it takes no statement.
    if not any(armed.on(side) for side in SIDES):
        return
    part = text.strip().casefold()
    rows = [
        row
        for row, _ in fault_access.visible(viewer)
        if part in row.name.casefold() or part == row.pk.casefold()
    ]
    for row in rows[:MAX_FOUND]:
        yield Command(f"Fault {row.name}", reverse("faults"), row.kind)
