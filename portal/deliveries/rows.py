"""The rows of the log: each delivery with its events and the latest attempt that matches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BinaryField, Count, F, Max, Min, Q
from django.db.models.functions import Substr

from portal.deliveries import queries
from portal.deliveries.bodies import escape_controls
from portal.deliveries.search import Term
from webhooks.models import Attempt, Delivery, Event, Resend

BODY_START = 400  # bytes of a response that are read for its first line
_MAX_LINE = 160  # characters
_LISTED = ("delivery_id", "number", "outcome", "status_code", "duration", "error", "started_at")
_TITLE = re.compile(r"<title[^>]*>\s*([^<]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery in the log: its first event, and its latest attempt that matches the search."""

    row: Delivery
    about: str
    object_id: str
    more_events: int
    last_event: int  # id, 0 without events
    attempt: Mapping[str, Any] | None

    @property
    def key(self) -> tuple[int, int]:
        """The key of its columns of other apps; there is no attempt 0."""
        return self.row.pk, self.attempt["number"] if self.attempt else 0

    @property
    def detail(self) -> str:
        """The first line of the response, or the error without one."""
        if self.attempt is None:
            return ""
        body = bytes(self.attempt["start"] or b"").decode("utf-8", "ignore")
        return first_line(body) or first_line(self.attempt["error"])


def load(rows: Sequence[Delivery], terms: Sequence[Term]) -> list[DeliveryRow]:
    """Return the rows with their events and attempts: four statements for all."""
    ids = [row.pk for row in rows]
    attempts, events, resends = _attempts(ids, terms), _events(ids), _resends(ids)
    return [_row(row, attempts.get(row.pk), events, resends) for row in rows]


def first_line(text: str) -> str:
    """Return the first line of a text, the title of an HTML page, or JSON in one line."""
    text = text.strip()
    if text.startswith("<") and (title := _TITLE.search(text)):
        text = title[1]
    elif text[:1] not in ("{", "["):
        text = text.partition("\n")[0]
    if "\0" in text or text.startswith("\x1f"):
        return "(binary)"
    text = escape_controls(" ".join(text.split()))
    return text if len(text) <= _MAX_LINE else f"{text[:_MAX_LINE]}…"


def _attempts(ids: Sequence[int], terms: Sequence[Term]) -> dict[int, dict[str, Any]]:
    """Return the latest attempt of each delivery, or the latest that matches the search."""
    condition = queries.attempts(terms) or Q(number=F("delivery__attempts"))
    rows = Attempt.objects.filter(condition, delivery__in=ids).order_by("number")
    # Only the start of the body, which may have 64 KiB.
    start = Substr("response_body", 1, BODY_START, output_field=BinaryField())
    return {row["delivery_id"]: row for row in rows.values(*_LISTED, start=start)}


def _events(ids: Sequence[int]) -> dict[int, tuple[Event, int, int]]:
    """Return the first event of each delivery, how many there are, and the id of the last."""
    rows = Event.objects.filter(delivery__in=ids).order_by().values("delivery")
    rows = rows.annotate(first=Min("pk"), last=Max("pk"), n=Count("pk"))
    more = {row["first"]: (row["n"], row["last"]) for row in rows}
    return {e.delivery_id: (e, *more[e.pk]) for e in Event.objects.filter(pk__in=more)}


def _resends(ids: Sequence[int]) -> dict[int, str]:
    """Return a description of each delivery that is a resend."""
    rows = Resend.objects.filter(pk__in=ids).values_list("pk", "repeats", "changed")
    return {
        pk: f"Resend of {f'delivery {repeats}' if repeats else 'a deleted delivery'}"
        + (" with changes" if changed else "")
        for pk, repeats, changed in rows
    }


def _row(
    row: Delivery,
    attempt: dict[str, Any] | None,
    events: Mapping[int, tuple[Event, int, int]],
    resends: Mapping[int, str],
) -> DeliveryRow:
    event, count, last = events.get(row.pk, (None, 0, 0))
    if row.pk in resends:
        return DeliveryRow(row, resends[row.pk], "", count, last, attempt)
    if event is None:
        return DeliveryRow(row, "Its events were moved to another delivery", "", 0, 0, attempt)
    return DeliveryRow(row, event.change, event.object_id, count - 1, last, attempt)
