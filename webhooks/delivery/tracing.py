"""Hooks for traces, which `connect_sim.tracing` fills in; nothing is traced without a tracer.

What caused a delivery is stored with its events (`Event.trace`), since the attempt is made later
and in another process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from requests_queue import operations
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.http.client import Request
from webhooks.models import Event

logger = logging.getLogger(__name__)

# The header of a W3C trace context.
TRACE = "traceparent"
# Events of one delivery whose causes a span names; thousands may share it.
MAX_EVENTS = 32


class AttemptSpan(Protocol):
    """The span of an attempt, from the queue change to the end of the request."""

    def begin_request(self, request: Request) -> str:
        """Begin the span of the HTTP request, and return its W3C trace context."""

    def end(self, outcome: str, status: int | None, error_type: str) -> None:
        """End both spans."""


class Tracer(Protocol):
    """What makes spans of attempts."""

    def begin_attempt(self, claimed: ClaimedDelivery) -> AttemptSpan:
        """Return the span of an attempt."""


tracer: Tracer | None = None


class GuardedSpan:
    """The span of an attempt, whose errors are logged: no attempt fails because of its trace."""

    def __init__(self, span: AttemptSpan) -> None:
        self._span = span

    def begin_request(self, request: Request) -> str:
        """Begin the span of the request, and return its trace context; empty after an error."""
        try:
            return self._span.begin_request(request)
        except Exception:
            logger.exception("The request is not traced.")
            return ""

    def end(self, outcome: str, status: int | None, error_type: str) -> None:
        """End both spans."""
        try:
            self._span.end(outcome, status, error_type)
        except Exception:
            logger.exception("The attempt is not traced.")


def begin_attempt(claimed: ClaimedDelivery) -> GuardedSpan | None:
    """Return the span of an attempt; None without tracing."""
    # Another thread may remove it.
    current = tracer
    if current is None:
        return None
    try:
        return GuardedSpan(current.begin_attempt(claimed))
    except Exception:
        logger.exception("The attempt is not traced.")
        return None


def mark_event() -> str | None:
    """Return what is stored with an event: the real time in ms, and its cause's trace context."""
    if tracer is None:
        return None
    return f"{time.time_ns() // 1_000_000} {operations.current_traceparent()}".rstrip()


def read_mark(mark: str) -> tuple[int, str]:
    """Return the time in ns and the trace context, which may be empty, of a stored mark."""
    milliseconds, _, traceparent = mark.partition(" ")
    return int(milliseconds) * 1_000_000, traceparent


def with_marks(claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Return the deliveries with the marks of their first events; one statement."""
    if tracer is None or not claimed:
        return claimed
    marks: dict[int, list[str]] = {}
    for delivery_id, mark in _marks([each.delivery_id for each in claimed]):
        marks.setdefault(delivery_id, []).append(mark)
    return [replace(each, marks=tuple(marks.get(each.delivery_id, ()))) for each in claimed]


def _marks(delivery_ids: Sequence[int]) -> list[tuple[int, str]]:
    number = Window(RowNumber(), partition_by=[F("delivery_id")], order_by="id")
    rows = Event.objects.filter(delivery__in=delivery_ids, trace__isnull=False)
    rows = rows.annotate(number=number).filter(number__lte=MAX_EVENTS).order_by("id")
    return [(pk, mark) for pk, mark in rows.values_list("delivery_id", "trace") if mark]
