"""The lease of the sandbox: one caller at a time uses it exclusively, for as long as it renews it.

Test runners with several workers share one sandbox by it: a worker takes the lease for a test,
resets, and moves the one clock undisturbed. It binds callers who take it; others are not refused.
A reset or restore keeps it. Times are the database's.

Callers that wait are served in order by the observer, which a release wakes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast

from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing
from sandbox.clock.holds import DEFAULT_TTL, Token
from sandbox.models import Lease
from sandbox.timeline import observer
from sandbox.timeline.observer import Kind, Result, Waiter

# Seconds after which a waiting caller looks for a lease that expired, or that another process
# released.
_POLL = 0.25


def take(ttl: float = DEFAULT_TTL, note: str = "") -> Token | None:
    """Take the lease for `ttl` seconds, unless somebody has it: None."""
    token = f"LSE-{uuid.uuid4()}"
    expired = Lease.objects.filter(expires__lte=DatabaseTime())
    if not expired.update(token=token, note=note, expires=DatabaseTime() + ttl):
        # Race: the primary key lets only one of several callers insert the row. An expression
        # can't be a value of `bulk_create`, so the row is inserted as expired.
        Lease.objects.bulk_create([Lease(token="", expires=0)], ignore_conflicts=True)
        if not expired.update(token=token, note=note, expires=DatabaseTime() + ttl):
            return None
    return Token(token, note, ttl)


def renew(token: str, ttl: float = DEFAULT_TTL) -> Token:
    """Let the lease expire in `ttl` seconds from now; raises Missing if it has expired."""
    rows = _valid(token)
    note = rows.values_list("note", flat=True).first()
    if note is None or not rows.update(expires=DatabaseTime() + ttl):
        raise Missing(token)
    return Token(token, note, ttl)


def release(token: str) -> None:
    """Release the lease; raises Missing if it was released or has expired."""
    if not _valid(token).delete()[0]:
        raise Missing(token)
    observer.announce()


def renew_noted(note: str, ttl: float) -> bool:
    """Renew the lease with this note, also if it has expired; False if nobody or another has it."""
    return bool(Lease.objects.filter(note=note).update(expires=DatabaseTime() + ttl))


def release_noted(note: str) -> None:
    """Release the lease if it has this note: its holder is gone."""
    if Lease.objects.filter(note=note).delete()[0]:
        observer.announce()


def current() -> Token | None:
    """Return the lease, None if nobody has it."""
    left = Cast(F("expires") - DatabaseTime(), FloatField())
    row = Lease.objects.annotate(left=left).values_list("token", "note", "left").first()
    return Token(*row) if row and row[2] > 0 else None


def taken() -> Conflict:
    """Return the error of a caller who did not get the lease."""
    lease = current()
    who = f" by {lease.note}" if lease and lease.note else ""
    left = f", for {lease.expires_in:.0f} s unless renewed" if lease else ""
    return Conflict("LSE_001", f"The sandbox is leased{who}{left}. Try again later.")


def _valid(token: str) -> QuerySet[Lease]:
    return Lease.objects.filter(token=token, expires__gt=DatabaseTime())


@dataclass(eq=False, kw_only=True, slots=True)
class Taker(Waiter):
    """A caller that waits for the lease; `answer` makes its result of the lease, or of None."""

    ttl: float
    note: str
    answer: Callable[[Token | None], Result]


class Takers(Kind[Taker]):
    """The callers of this process that wait for the lease."""

    def turn(self) -> float:
        """Give the lease to the first caller, and end the waits past their deadline."""
        waiting = observer.waiting(self)
        if waiting and current() is None and (lease := take(waiting[0].ttl, waiting[0].note)):
            if not waiting[0].respond(waiting[0].answer(lease)):
                _valid(lease.id).delete()
                return 0.0
            waiting = waiting[1:]
        now = time.monotonic()
        for taker in waiting:
            if taker.deadline <= now:
                taker.respond(taker.answer(None))
        return _POLL


takers = Takers()
