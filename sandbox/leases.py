"""The lease of the sandbox: one caller at a time uses it exclusively, for as long as it renews it.

Test runners with several workers share one sandbox by it: a worker takes the lease for a test,
resets, and moves the one clock undisturbed. It binds callers who take it; others are not refused.
A reset or restore keeps it. Times are the database's.

Callers that wait are served in order by one thread of the process, which a release wakes.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast

from requests_queue.errors import Conflict, Missing
from requests_queue.sql import DatabaseTime
from sandbox.deferred import Result
from sandbox.models import Lease
from sandbox.waiting import MAX_PER_KEY, TooManyWaits

logger = logging.getLogger(__name__)

DEFAULT_TTL, MAX_TTL = 30.0, 3600.0  # seconds
MAX_WAIT = 600.0  # seconds
MAX_NOTE = 200  # characters
# Seconds after which a waiting caller looks for a lease that expired, or that another process
# released.
_POLL = 0.25


@dataclass(frozen=True, slots=True)
class ActiveLease:
    """A lease, and in how many seconds it expires; the repr does not show the id."""

    id: str = field(repr=False)
    note: str
    expires_in: float


def take(ttl: float = DEFAULT_TTL, note: str = "") -> ActiveLease | None:
    """Take the lease for `ttl` seconds, unless somebody has it: None."""
    token = f"LSE-{uuid.uuid4()}"
    expired = Lease.objects.filter(expires__lte=DatabaseTime())
    if not expired.update(token=token, note=note, expires=DatabaseTime() + ttl):
        # Race: the primary key lets only one of several callers insert the row. An expression
        # can't be a value of `bulk_create`, so the row is inserted as expired.
        Lease.objects.bulk_create([Lease(token="", expires=0)], ignore_conflicts=True)
        if not expired.update(token=token, note=note, expires=DatabaseTime() + ttl):
            return None
    return ActiveLease(token, note, ttl)


def renew(token: str, ttl: float = DEFAULT_TTL) -> ActiveLease:
    """Let the lease expire in `ttl` seconds from now; raises Missing if it has expired."""
    rows = _valid(token)
    note = rows.values_list("note", flat=True).first()
    if note is None or not rows.update(expires=DatabaseTime() + ttl):
        raise Missing(token)
    return ActiveLease(token, note, ttl)


def release(token: str) -> None:
    """Release the lease; raises Missing if it was released or has expired."""
    if not _valid(token).delete()[0]:
        raise Missing(token)
    waiting.announce()


def renew_noted(note: str, ttl: float) -> bool:
    """Renew the lease with this note, also if it has expired; False if nobody or another has it."""
    return bool(Lease.objects.filter(note=note).update(expires=DatabaseTime() + ttl))


def release_noted(note: str) -> None:
    """Release the lease if it has this note: its holder is gone."""
    if Lease.objects.filter(note=note).delete()[0]:
        waiting.announce()


def current() -> ActiveLease | None:
    """Return the lease, None if nobody has it."""
    left = Cast(F("expires") - DatabaseTime(), FloatField())
    row = Lease.objects.annotate(left=left).values_list("token", "note", "left").first()
    return ActiveLease(*row) if row and row[2] > 0 else None


def taken() -> Conflict:
    """Return the error of a caller who did not get the lease."""
    lease = current()
    who = f" by {lease.note}" if lease and lease.note else ""
    left = f", for {lease.expires_in:.0f} s unless renewed" if lease else ""
    return Conflict("LSE_001", f"The sandbox is leased{who}{left}. Try again later.")


def _valid(token: str) -> QuerySet[Lease]:
    return Lease.objects.filter(token=token, expires__gt=DatabaseTime())


@dataclass(eq=False, slots=True)
class Waiter:
    """A caller that waits for the lease; `answer` makes its result of the lease, or of None."""

    key: str  # of the caller, who may have MAX_PER_KEY waits
    ttl: float
    note: str
    deadline: float
    answer: Callable[[ActiveLease | None], Result]
    future: Future[Result] = field(default_factory=Future)

    def give(self, lease: ActiveLease | None) -> bool:
        """Give the caller its result; return False if the client has left."""
        try:
            self.future.set_result(self.answer(lease))
        except InvalidStateError:
            return False
        return True


class Waiting:
    """The callers of this process that wait, in order; a thread serves them while there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._releases = 0
        self._waiters: deque[Waiter] = deque()
        self._thread: threading.Thread | None = None

    def join(self, waiter: Waiter) -> Future[Result]:
        """Wait for the lease until the deadline (monotonic); the future gets the result.

        Raises TooManyWaits.
        """
        with self._changed:
            # A caller that has left is removed at the thread's next turn.
            same = [w for w in self._waiters if w.key == waiter.key and not w.future.done()]
            if len(same) >= MAX_PER_KEY:
                raise TooManyWaits
            self._waiters.append(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
                self._thread.start()
        return waiter.future

    def announce(self) -> None:
        """Wake the thread: the lease is free."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while True:
                self._end_waits()
                with self._changed:
                    if not self._waiters:
                        self._thread = None
                        return
                    first, seen = self._waiters[0], self._releases
                if not self._serve(first):
                    self._wait_for_release(seen)
        finally:
            connection.close()

    def _wait_for_release(self, seen: int) -> None:
        """Wait until there are other than the `seen` releases, or _POLL seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._releases != seen, _POLL)

    def _end_waits(self) -> None:
        """Remove the callers that have been served or have left, and those past the deadline."""
        now = time.monotonic()
        with self._changed:
            over = [w for w in self._waiters if w.future.done() or w.deadline <= now]
            for waiter in over:
                self._waiters.remove(waiter)
        for waiter in over:
            if not waiter.future.done():
                waiter.give(None)

    def _serve(self, waiter: Waiter) -> bool:
        """Try to take the lease for a caller; return whether that has ended."""
        try:
            lease = take(waiter.ttl, waiter.note)
            if lease is not None and not waiter.give(lease):
                _valid(lease.id).delete()
            return lease is not None
        except Exception:
            logger.exception("The lease could not be taken for a caller. It is tried again.")
            connection.close()
            return False


waiting = Waiting()
