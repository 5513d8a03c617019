"""Hooks for traces, which `connect_sim.tracing` fills in; nothing is traced without a tracer.

What caused a delivery is stored with its events (`Event.trace`), since the attempt is made later
and in another process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from requests_queue import operations
from webhooks.http.client import Request
from webhooks.models import Event

logger = logging.getLogger(__name__)

# The header of a W3C trace context.
TRACE = "traceparent"
# Events of one delivery whose causes a span names; thousands may share it.
MAX_EVENTS = 32

T = TypeVar("T")


class AttemptSpan(Protocol):
    """The span of an attempt, from the queue change to the end of the request."""

    def begin_request(self, request: Request) -> str:
        """Begin the span of the HTTP request, and return its W3C trace context."""

    def end(self, outcome: str, status: int | None, error_type: str) -> None:
        """End both spans."""


class Tracer(Protocol):
    """What makes spans of attempts."""

    def begin_attempt(self, claim: Any) -> AttemptSpan:
        """Return the span of the attempt of a `webhooks.delivery.claim.Claim`."""


tracer: Tracer | None = None


def guarded(function: Callable[..., T], *args: object) -> T | None:
    """Call a function of a tracer; an error is logged, since no attempt fails because of it."""
    try:
        return function(*args)
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


def marks(delivery_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Return the marks of the first events of deliveries; one statement, none without tracing."""
    by_delivery: dict[int, tuple[str, ...]] = {}
    if tracer is None:
        return by_delivery
    number = Window(RowNumber(), partition_by=[F("delivery_id")], order_by="id")
    rows = Event.objects.filter(delivery__in=list(delivery_ids), trace__isnull=False)
    rows = rows.annotate(number=number).filter(number__lte=MAX_EVENTS).order_by("id")
    for pk, mark in rows.values_list("delivery_id", "trace"):
        by_delivery[pk] = (*by_delivery.get(pk, ()), mark or "")
    return by_delivery
