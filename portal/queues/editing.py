"""A change of an open object by hand: what `PUT` allows to the viewer's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from portal.identity import Viewer
from portal.queues import lists, parameters, sections
from portal.queues.parameters import ParameterFields
from requests_queue import transitions
from requests_queue.catalog.actors import DISTRIBUTOR, VENDOR
from requests_queue.errors import Refused
from requests_queue.queues import services, validation
from requests_queue.queues.base import Queue, QueueObject

_OPEN = ("draft", "pending", "inquiring", "scheduled")
_NOTES = ("note", "notes")


def is_offered(queue: Queue, row: QueueObject) -> bool:
    """Whether an object has parameters that somebody may change now."""
    return row.status in _OPEN and validation.find(queue.object_class) is not None


class EditPage:
    """The form: the parameters that the viewer may set, a note, and a draft's quantities."""

    def __init__(
        self, queue: Queue, row: QueueObject, viewer: Viewer, post: QueryDict | None
    ) -> None:
        self.queue, self.row, self.viewer, self.post = queue, row, viewer, post
        self.shown = services.get(queue, viewer.actor, row.pk)
        judges = viewer.role == VENDOR
        phases = ("ordering", "fulfillment") if judges else ("ordering",)
        params = [p for p in parameters.of(queue, self.shown) if p.get("phase") in phases]
        self.params = ParameterFields(params, post, judges=judges)
        self.errors: list[str] = []

    @property
    def seen(self) -> str:
        """What the object was like, as far as whoever fills in the form knows."""
        return lists.digest([self.shown])

    @property
    def note(self) -> tuple[str, str] | None:
        """The name of the note and what it says, None where there is none."""
        for name in _NOTES:
            if name in self.shown:
                typed = self.post.get(name) if self.post is not None else None
                return name, str(self.shown[name] if typed is None else typed)
        return None

    @property
    def quantities(self) -> list[tuple[Mapping[str, Any], str]]:
        """The items of a draft order with their quantities, for the distributor."""
        orders = DISTRIBUTOR in self.viewer.actor.roles_for(self.row)
        if self.row.status != "draft" or not orders:
            return []
        rows = [row for row in sections.items(self.shown) if row.get("item_type") != "PPU"]
        return [(row, self._typed(f"quantity:{row['global_id']}", row)) for row in rows]

    def _typed(self, name: str, row: Mapping[str, Any]) -> str:
        typed = self.post.get(name) if self.post is not None else None
        return str(row["quantity"]) if typed is None else typed

    def save(self) -> bool:
        """Write what was changed; whether nothing was refused."""
        try:
            return self._save()
        except Refused as refused:
            self.errors += map(str, self.params.refuse(refused.errors))
            return False

    @transitions.atomic()
    def _save(self) -> bool:
        assert self.post is not None
        # Locked, so that nobody else's change comes between the look and what is written.
        list(self.queue.model._default_manager.select_for_update().filter(pk=self.row.pk))
        self.shown = services.get(self.queue, self.viewer.actor, self.row.pk)
        if self.post.get("seen", self.seen) != self.seen:
            self.errors.append(
                "It has been changed meanwhile. Nothing was written; what you typed is still "
                "here: look at it again and save."
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
        changed = [
            {"id": row["global_id"], "quantity": typed}
            for row, typed in self.quantities
            if typed != str(row["quantity"])
        ]
        if changed:
            everything = [
                {"id": row["global_id"], "quantity": typed} for row, typed in self.quantities
            ]
            body.setdefault("asset", {})["items"] = everything
        return body
