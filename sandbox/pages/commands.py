"""The sandbox's entries of the command palette."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from portal.commands import Command
from portal.identity import Viewer
from sandbox.pages import fault_views


def faults(viewer: Viewer) -> Iterator[Command]:
    """Return the form of each kind of fault."""
    for side, title, kinds in fault_views.kinds_by_side():
        for kind, _ in kinds:
            address = reverse("fault-new", args=[side, kind.name])
            yield Command(f"Arm fault {kind.name}…", address, title, "new")
