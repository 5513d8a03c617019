"""Barriers: responses of the API that wait until a caller releases them.

The process that serves a call has its response in memory, and a row for it, which all processes
read. Deleting the row releases the response; so does clearing the fault, or its expiry. A thread of
the process looks for that when it is notified, while responses wait. It also answers callers who
wait until so many responses are held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from functools import partial

from django.db import connection, transaction
from django.db.models import F, FloatField, Q, QuerySet
from django.db.models.functions import Cast

from requests_queue.heartbeats import EXPIRES_AFTER, INTERVAL
from requests_queue.sql import DatabaseTime
from sandbox import notification
from sandbox.deferred import Result
from sandbox.faults import delays
from sandbox.models import Fault, HeldResponse
from sandbox.waiting import MAX_PER_KEY, TooManyWaits
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

MAX_WAIT = 600.0  # seconds
_FAILURE_PAUSE = 1.0  # seconds before another try if the database is unavailable


@dataclass(eq=False, slots=True)
class Waiter:
    """A caller that waits until `count` responses of a fault are held, or for the deadline.

    `answer` makes its response; it is called again as long as the database is unavailable.
    """

    key: str  # of the caller, who may have MAX_PER_KEY waits
    fault: str
    count: int
    deadline: float  # monotonic
    answer: Callable[[], Result]
    future: Future[Result] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Delay:
    """A response that is held until the future is done, or for so many seconds."""

    future: Future[None]
    seconds: float | None


class Barriers:
    """The held responses of this process, by the id of their row, and callers that wait."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[int, Future[None]] = {}
        # Rows to delete: the client has left, or the response is not waited for any more.
        self._ended: set[int] = set()
        self._waiters: list[Waiter] = []
        self._renew_at = 0.0
        self._thread: threading.Thread | None = None

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
        future = delays.begin()
        with self._guard:
            self._held[held.pk] = future
            self._start()
        # The fault may have been cleared since its row was read.
        notification.announce()
        future.add_done_callback(partial(self._end, held.pk))
        return Delay(future, row.left)

    def wait(self, waiter: Waiter) -> Future[Result]:
        """Answer a caller when so many responses are held; raises TooManyWaits."""
        with self._guard:
            if sum(other.key == waiter.key for other in self._waiters) >= MAX_PER_KEY:
                raise TooManyWaits
            self._waiters.append(waiter)
            self._start()
        # Also when the client leaves, which makes room for another wait.
        waiter.future.add_done_callback(lambda future: notification.announce())
        notification.announce()
        return waiter.future

    def keys(self) -> list[int]:
        """Return the ids of the rows of this process."""
        with self._guard:
            return list(self._held)

    def _end(self, key: int, future: Future[None]) -> None:
        """Let the thread delete the row of a response that is sent, or whose client has left."""
        with self._guard:
            if self._held.pop(key, None) is None:
                return
            self._ended.add(key)
            self._start()
        notification.announce()

    # The thread.

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fault-barriers", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                seen = notification.count()
                with self._guard:
                    if not (self._held or self._ended or self._waiters):
                        self._thread = None
                        return
                notification.wait(seen, self._try_turn())
        finally:
            connection.close()

    def _try_turn(self) -> float:
        """Take a turn; return after how many seconds to take another one without notification."""
        try:
            self._delete_ended()
            self._release()
            self._renew()
            return self._answer()
        except Exception:
            logger.exception("Held responses could not be observed. They are tried again.")
            connection.close()
            return _FAILURE_PAUSE

    def _delete_ended(self) -> None:
        with self._guard:
            ended = list(self._ended)
        if ended:
            _delete(ended)
            with self._guard:
                self._ended.difference_update(ended)

    def _release(self) -> None:
        """Send the responses whose row was deleted, or whose fault was cleared or has expired."""
        keys = self.keys()
        kept = set(_of_active_faults().filter(pk__in=keys).values_list("pk", flat=True))
        released = [key for key in keys if key not in kept]
        if not released:
            return
        _delete(released)
        with self._guard:
            futures = [self._held.pop(key, None) for key in released]
        for future in futures:
            if future is not None:
                delays.end(future)

    def _renew(self) -> None:
        """Say that the process is alive, and delete the rows of those that are not."""
        if time.monotonic() < self._renew_at:
            return
        HeldResponse.objects.filter(pk__in=self.keys()).update(seen=DatabaseTime())
        HeldResponse.objects.filter(seen__lte=DatabaseTime() - EXPIRES_AFTER).delete()
        self._renew_at = time.monotonic() + INTERVAL

    def _answer(self) -> float:
        """Answer callers; return after how many seconds to look again."""
        with self._guard:
            self._waiters = [each for each in self._waiters if not each.future.done()]
            waiters = list(self._waiters)
        if not waiters:
            return INTERVAL
        faults = {each.fault for each in waiters}
        active = set(_active_faults().filter(pk__in=faults).values_list("pk", flat=True))
        counts = Counter(row.fault_id for row in _live(faults))
        now = time.monotonic()
        for each in waiters:
            is_over = each.deadline <= now or each.fault not in active
            if is_over or counts[each.fault] >= each.count:
                _give(each)
        deadlines = [each.deadline - now for each in waiters if not each.future.done()]
        return max(0.0, min([INTERVAL, *deadlines]))


barriers = Barriers()


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


def _give(waiter: Waiter) -> None:
    try:
        waiter.future.set_result(waiter.answer())
    except InvalidStateError:
        # The client has left.
        pass


def _delete(keys: Sequence[int]) -> None:
    HeldResponse.objects.filter(pk__in=keys).delete()
    notification.announce_after_commit()


def _live(faults: Collection[str]) -> QuerySet[HeldResponse]:
    rows = _of_active_faults().filter(fault__in=faults).order_by("pk")
    if wakeup.is_broker_in_memory():
        # There is no other process; rows may be left of one that was killed.
        return rows.filter(pk__in=barriers.keys())
    return rows.filter(seen__gt=DatabaseTime() - EXPIRES_AFTER)


def _of_active_faults() -> QuerySet[HeldResponse]:
    return HeldResponse.objects.filter(fault__in=_active_faults())


def _active_faults() -> QuerySet[Fault]:
    """Return the faults that may hold responses, which may have fired often enough already."""
    return Fault.objects.filter(is_cleared=False).filter(
        Q(expires=None) | Q(expires__gt=DatabaseTime())
    )
