"""Holds: named tokens that keep the clock from moving on until they are released or expire.

For a handler with a queue of its own, whose work the sandbox doesn't see, or for its author's test.
Several may be held at once: the clock waits for all of them. Times are the database's, since
several processes take and read them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, FloatField
from django.db.models.functions import Cast

from requests_queue import clock
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Missing
from requests_queue.signals import due_reached
from sandbox.models import Hold
from sandbox.timeline import timeline
from sandbox.timeline.timeline import Entry

DEFAULT_TTL, MAX_TTL = 30.0, 3600.0  # seconds
MAX_NOTE = 200  # characters


@dataclass(frozen=True, slots=True)
class Token:
    """A hold, or a lease, and in how many seconds it expires; the repr does not show the id."""

    id: str = field(repr=False)
    note: str
    expires_in: float

    def represent(self) -> dict[str, Any]:
        return {"id": self.id, "note": self.note, "expires_in": round(self.expires_in, 3)}


@transaction.atomic
def take(ttl: float = DEFAULT_TTL, note: str = "") -> Token:
    """Take a new hold for `ttl` seconds; its id is never used again."""
    row = Hold.objects.create(id=f"HLD-{uuid.uuid4()}", note=note, expires=DatabaseTime() + ttl)
    _record("taken", [(row.id, note)])
    return Token(row.id, note, ttl)


def release(hold_id: str) -> None:
    """Release a hold; raises Missing if it was released before or has expired."""
    with transaction.atomic():
        rows = Hold.objects.filter(pk=hold_id, expires__gt=DatabaseTime())
        note = rows.values_list("note", flat=True).first()
        # Race: only one of several releases deletes the row.
        if rows.delete()[0]:
            _record("released", [(hold_id, note or "")])
            return
    expire()
    raise Missing(hold_id)


def active() -> list[Token]:
    """Return the holds, after removing the expired ones; the first to expire first."""
    left = Cast(F("expires") - DatabaseTime(), FloatField())
    rows = list(
        Hold.objects.annotate(left=left).order_by("expires", "pk").values_list("id", "note", "left")
    )
    if any(left <= 0 for _, _, left in rows):
        expire()
    return [Token(pk, note, left) for pk, note, left in rows if left > 0]


@due_reached.connect
def expire(**kwargs: object) -> None:
    """Remove the expired holds."""
    expired = Hold.objects.filter(expires__lte=DatabaseTime())
    for pk, note in list(expired.values_list("id", "note")):
        with transaction.atomic():
            # Race: only one process deletes and records it.
            if expired.filter(pk=pk).delete()[0]:
                _record("expired", [(pk, note)])


def _record(action: str, rows: list[tuple[str, str]]) -> None:
    now = clock.now()
    timeline.append(
        [
            Entry(timeline.HOLD, now, data={"action": action, "id": pk, "note": note})
            for pk, note in rows
        ]
    )
