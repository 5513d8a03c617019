"""Editing an open object with what the API's PUT allows to the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from portal import layout
from portal.identity import Viewer
from portal.queues import parameters, sections
from portal.queues.parameters import ParameterFields
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.errors import Refused
from requests_queue.queues import services, transitions, validation
from requests_queue.queues.base import Queue, QueueObject

_NOTES = ("note", "notes")


def why_refused(queue: Queue, row: QueueObject) -> str | None:
    """Return why an object's parameters can't be edited now; empty if they can, None without any.

    The reason is that of the API.
    """
    about = validation.find(queue.object_class)
    if about is None:
        return None
    try:
        about.check_updatable(row)
    except Refused as refused:
        return str(refused)
    return ""


class EditPage:
    """The form: the parameters that the viewer may set, a note, and quantities of a draft."""

    def __init__(
        self, queue: Queue, row: QueueObject, viewer: Viewer, post: QueryDict | None
    ) -> None:
        self.queue, self.row, self.viewer, self.post = queue, row, viewer, post
        self.shown = services.get(queue, viewer.actor, row.pk)
        is_vendor = viewer.role == VENDOR
        phases = ("ordering", "fulfillment") if is_vendor else ("ordering",)
        params = [p for p in parameters.of(queue, self.shown) if p.get("phase") in phases]
        self.params = ParameterFields(params, post, sets_errors=is_vendor)
        self.errors: list[str] = []

    @property
    def seen(self) -> str:
        """The digest of the object, by which a concurrent change is noticed."""
        return layout.digest(self.shown)

    @property
    def note(self) -> tuple[str, str] | None:
        """The name and the text of the note; None if the object has none."""
        name = next((name for name in _NOTES if name in self.shown), None)
        return (name, self._typed(name, self.shown[name])) if name else None

    @property
    def quantities(self) -> list[tuple[Mapping[str, Any], str]]:
        """The items of a draft with their quantities, for the distributor."""
        is_distributor = DISTRIBUTOR in self.viewer.actor.roles_for(self.row)
        if self.row.status != "draft" or not is_distributor:
            return []
        rows = [row for row in sections.items(self.shown) if row.get("item_type") != "PPU"]
        return [(row, self._typed(f"quantity:{row['global_id']}", row["quantity"])) for row in rows]

    def _typed(self, name: str, current: Any) -> str:
        typed = self.post.get(name) if self.post is not None else None
        return str(current) if typed is None else typed

    def save(self) -> bool:
        """Save the changes and return whether that succeeded; otherwise the form has the errors."""
        try:
            return self._save()
        except Refused as refused:
            self.errors += map(str, self.params.refuse(refused.errors))
            return False

    @transitions.atomic()
    def _save(self) -> bool:
        assert self.post is not None
        # Locked, so that no other change comes between the comparison and the UPDATE.
        list(self.queue.model._default_manager.select_for_update().filter(pk=self.row.pk))
        self.shown = services.get(self.queue, self.viewer.actor, self.row.pk)
        if self.post.get("seen", self.seen) != self.seen:
            self.errors.append(
                "The object has changed in the meantime. Nothing was saved. Check your values "
                "below and save again."
            )
            return False
        services.edit(self.queue, self.viewer.actor, self.row.pk, self._body())
        return True

    def _body(self) -> dict[str, Any]:
        about = validation.find(self.queue.object_class)
        entries = self.params.entries()
        body: dict[str, Any] = about.body(entries) if about and entries else {}
        if self.note and self.note[1] != self.shown[self.note[0]]:
            body[self.note[0]] = self.note[1]
        if any(typed != str(row["quantity"]) for row, typed in self.quantities):
            body.setdefault("asset", {})["items"] = [
                {"id": row["global_id"], "quantity": typed} for row, typed in self.quantities
            ]
        return body
