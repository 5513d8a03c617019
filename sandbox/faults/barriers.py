"""Barriers: responses of the API that wait until a caller releases them.

The process that serves a call has its response in memory, and a row for it, which all processes
read. Deleting the row releases the response; so does clearing the fault, or its expiry. The
observer looks for that, and answers callers who wait until so many responses are held.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import F, FloatField, Q, QuerySet
from django.db.models.functions import Cast

from requests_queue.db.sql import DatabaseTime
from requests_queue.heartbeats import EXPIRES_AFTER, INTERVAL
from sandbox.models import Fault, HeldResponse
from sandbox.timeline import notification
from sandbox.timeline.deferred import Result
from sandbox.timeline.observer import Kind, Waiter, observer
from sandbox.world import gate
from webhooks.delivery import wakeup

MAX_WAIT = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Delay:
    """A response that is held until the future is done, or for so many seconds."""

    future: Future[None]
    seconds: float | None


@dataclass(eq=False, kw_only=True, slots=True)
class Held(Waiter):
    """A response of this process that is held, by the id of its row; the future releases it."""

    key: int


class Responses(Kind[Held]):
    """The held responses of this process."""

    def __init__(self) -> None:
        self._renew_at = 0.0

    def hold(self, fault: str, number: int, method: str, path: str) -> Delay | None:
        """Hold a response; return what ends that, or None if the fault has been cleared."""
        with transaction.atomic():
            left = Cast(F("expires") - DatabaseTime(), FloatField())
            row = Fault.objects.filter(pk=fault, is_cleared=False).annotate(left=left).first()
            if row is None or (row.left is not None and row.left <= 0):
                return None
            held = HeldResponse.objects.create(
                fault=row, number=number, method=method, path=path, seen=DatabaseTime()
            )
            notification.announce_after_commit()
        future = gate.begin_delay()
        observer.add(self, Held(key=held.pk, future=future))
        return Delay(future, row.left)

    def keys(self) -> list[int]:
        """Return the ids of the rows of this process."""
        return [each.key for each in observer.waiting(self)]

    def left(self, waiters: list[Held]) -> None:
        """Delete the rows of responses that are sent, or whose client has left."""
        if waiters:
            _delete([each.key for each in waiters])

    def turn(self) -> float:
        """Send the responses whose row was deleted, or whose fault was cleared or has expired."""
        held = observer.waiting(self)
        rows = _of_active_faults().filter(pk__in=[each.key for each in held])
        kept = set(rows.values_list("pk", flat=True))
        for each in held:
            if each.key not in kept:
                gate.end_delay(each.future)
        self._renew()
        return INTERVAL

    def _renew(self) -> None:
        """Say that the process is alive, and delete the rows of those that are not."""
        if time.monotonic() < self._renew_at:
            return
        HeldResponse.objects.filter(pk__in=self.keys()).update(seen=DatabaseTime())
        HeldResponse.objects.filter(seen__lte=DatabaseTime() - EXPIRES_AFTER).delete()
        self._renew_at = time.monotonic() + INTERVAL


@dataclass(eq=False, kw_only=True, slots=True)
class Caller(Waiter):
    """A caller that waits until a fault holds `count` responses; `answer` makes its result."""

    fault: str
    count: int
    answer: Callable[[], Result]


class Callers(Kind[Caller]):
    """The callers of this process that wait for held responses."""

    def turn(self) -> float:
        """Answer callers whose responses are held, whose fault is over, or at their deadline."""
        callers = observer.waiting(self)
        faults = {each.fault for each in callers}
        active = set(_active_faults().filter(pk__in=faults).values_list("pk", flat=True))
        counts = Counter(row.fault_id for row in _live(faults))
        for each in callers:
            is_over = each.deadline <= time.monotonic() or each.fault not in active
            if is_over or counts[each.fault] >= each.count:
                each.respond(each.answer())
        return INTERVAL


responses = Responses()
callers = Callers()


def held(faults: Iterable[str]) -> dict[str, list[HeldResponse]]:
    """Return the responses that each fault holds, oldest first; one statement."""
    result: dict[str, list[HeldResponse]] = {}
    for row in _live(list(faults)):
        result.setdefault(row.fault_id, []).append(row)
    return result


@transaction.atomic
def release(fault: str, count: int | None = None) -> list[HeldResponse]:
    """Release the `count` oldest responses that a fault holds, by default all; return them."""
    # Locked rows are being released by another caller.
    rows = _live([fault]).select_for_update(
        skip_locked=connection.features.has_select_for_update_skip_locked
    )
    released = list(rows[:count])
    _delete([row.pk for row in released])
    notification.announce_after_commit()
    return released


def _delete(keys: Sequence[int]) -> None:
    HeldResponse.objects.filter(pk__in=keys).delete()
    notification.announce_after_commit()


def _live(faults: Collection[str]) -> QuerySet[HeldResponse]:
    rows = _of_active_faults().filter(fault__in=faults).order_by("pk")
    if wakeup.is_broker_in_memory():
        # There is no other process; rows may be left of one that was killed.
        return rows.filter(pk__in=responses.keys())
    return rows.filter(seen__gt=DatabaseTime() - EXPIRES_AFTER)


def _of_active_faults() -> QuerySet[HeldResponse]:
    return HeldResponse.objects.filter(fault__in=_active_faults())


def _active_faults() -> QuerySet[Fault]:
    """Return the faults that may hold responses, which may have fired often enough already."""
    return Fault.objects.filter(is_cleared=False).filter(
        Q(expires=None) | Q(expires__gt=DatabaseTime())
    )
