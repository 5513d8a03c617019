"""The rows of the log: each delivery with its events and the latest attempt that matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BinaryField
from django.db.models.functions import Substr

from portal.deliveries import queries
from portal.deliveries.bodies import escape_controls
from portal.deliveries.search import Term
from requests_queue.db import sql
from webhooks.models import Attempt, Delivery, describe_change

BODY_START = 400  # bytes of a response that are read for its first line
_MAX_LINE = 160  # characters
_TITLE = re.compile(r"<title[^>]*>\s*([^<]+)", re.IGNORECASE)


class LoggedAttempt(NamedTuple):
    """What the log shows of an attempt; `start` is the start of the response body."""

    delivery_id: int
    number: int
    outcome: str
    status_code: int | None
    duration: int
    error: str
    start: Any


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery in the log: its first event, and its latest attempt that matches the search."""

    row: Delivery
    about: str
    object_id: str
    more_events: int
    last_event: int  # id, 0 without events
    attempt: LoggedAttempt | None

    @property
    def key(self) -> tuple[int, int]:
        """The key of its columns of other apps; there is no attempt 0."""
        return self.row.pk, self.attempt.number if self.attempt else 0

    @property
    def is_older(self) -> bool:
        """Whether the attempt is not the latest."""
        return self.attempt is not None and self.attempt.number != self.row.attempts

    @property
    def detail(self) -> str:
        """The first line of the response, or the error without one."""
        if self.attempt is None:
            return ""
        body = bytes(self.attempt.start or b"").decode("utf-8", "ignore")
        return first_line(body) or first_line(self.attempt.error)


class _Cause(NamedTuple):
    """Why a delivery was created, how many events it has, and the id of the last one.

    It was created by its first event, or repeats an attempt.
    """

    delivery_id: int
    events: int | None
    last: int | None
    object_id: str | None
    status_from: str
    status_to: str
    resend: int | None
    repeats: int | None
    changed: bool | None


def load(rows: Sequence[Delivery], terms: Sequence[Term]) -> list[DeliveryRow]:
    """Return the rows with their events and attempts: two statements for all."""
    if not rows:
        return []
    ids = [row.pk for row in rows]
    attempts, causes = _attempts(ids, terms), {row[0]: _Cause(*row) for row in _read(_CAUSES, ids)}
    return [_row(row, attempts.get(row.pk), causes.get(row.pk)) for row in rows]


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


# Raw SQL, because the ORM takes several times as long for them as the database.
_LATEST = """
    SELECT a.delivery_id, a.number, a.outcome, a.status_code, a.duration, a.error,
        SUBSTR(a.response_body, 1, {start})
    FROM webhooks_delivery d
    JOIN webhooks_attempt a ON a.delivery_id = d.id AND a.number = d.attempts
    WHERE d.id IN ({ids})
"""
_CAUSES = """
    SELECT d.id, n.events, n.last, e.object_id, e.status_from, e.status_to,
        r.delivery_id, r.repeats_id, r.changed
    FROM webhooks_delivery d
    LEFT JOIN (
        SELECT delivery_id, MIN(id) AS first, MAX(id) AS last, COUNT(*) AS events
        FROM webhooks_event WHERE delivery_id IN ({ids}) GROUP BY delivery_id
    ) n ON n.delivery_id = d.id
    LEFT JOIN webhooks_event e ON e.id = n.first
    LEFT JOIN webhooks_resend r ON r.delivery_id = d.id
    WHERE d.id IN ({ids})
"""


def _attempts(ids: Sequence[int], terms: Sequence[Term]) -> dict[int, LoggedAttempt]:
    """Return the latest attempt of each delivery, or the latest that matches the search."""
    condition = queries.attempts(terms)
    if not condition:
        rows = _read(_LATEST, ids)
    else:
        # Only the start of the body, which may have 64 KiB.
        start = Substr("response_body", 1, BODY_START, output_field=BinaryField())
        of_rows = sql.ids_in("webhooks_attempt.delivery_id", ids)
        found = Attempt.objects.filter(of_rows, condition).order_by("number").annotate(start=start)
        rows = list(found.values_list(*LoggedAttempt._fields))
    return {row[0]: LoggedAttempt(*row) for row in rows}


def _read(statement: str, ids: Sequence[int]) -> list[Any]:
    with connection.cursor() as cursor:
        # Only the start of the body, which may have 64 KiB.
        cursor.execute(statement.format(ids=sql.integers(ids), start=BODY_START))
        rows: list[Any] = cursor.fetchall()
    return rows


def _row(row: Delivery, attempt: LoggedAttempt | None, cause: _Cause | None) -> DeliveryRow:
    count, last = (cause.events or 0, cause.last or 0) if cause else (0, 0)
    if cause and cause.resend:
        what = f"delivery {cause.repeats}" if cause.repeats else "a deleted delivery"
        about = f"Resend of {what}" + (" with changes" if cause.changed else "")
        return DeliveryRow(row, about, "", count, last, attempt)
    if cause is None or cause.object_id is None:
        return DeliveryRow(row, "Its events were moved to another delivery", "", 0, 0, attempt)
    about = describe_change(cause.object_id, cause.status_from, cause.status_to)
    return DeliveryRow(row, about, cause.object_id, count - 1, last, attempt)
