"""Tokens that callers take for some time: holds of the clock, and the lease of the sandbox.

A hold keeps the clock from moving on until it is released or expires: for a handler with a queue of
its own, whose work the sandbox doesn't see, or for its author's test. Several may be held at once:
the clock waits for all of them.

The lease is the exclusive use of the sandbox, for as long as its holder renews it. Test runners
with several workers share one sandbox by it: a worker takes the lease for a test, resets, and moves
the one clock undisturbed. It binds callers who take it; others are not refused. A reset or restore
keeps it. Callers that wait for it are served in order by the observer, which a release wakes.

Times are the database's, since several processes take and read tokens.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet

from requests_queue import clock
from requests_queue.api.resources import Field, Part
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing
from requests_queue.signals import due_reached
from sandbox.models import EXPIRES_IN, Hold, Lease
from sandbox.timeline import observer, timeline
from sandbox.timeline.observer import Kind, Result, Waiter
from sandbox.timeline.timeline import Entry, Seconds

DEFAULT_TTL, MAX_TTL = 30.0, 3600.0  # seconds
MAX_NOTE = 200  # characters
# Seconds after which a waiting caller looks for a lease that expired, or that another process
# released.
_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Token:
    """A hold or a lease, and in how many seconds it expires; the repr does not show the id."""

    id: str = field(repr=False)
    note: str
    expires_in: float


_SHOWN = {"note": str, "expires_in": Field(Seconds, lambda token: round(token.expires_in, 3))}
HOLD = Part("Hold", "A hold; it expires in so many seconds.", {"id": str, **_SHOWN})
LEASE = Part(
    "Lease",
    "A lease of the sandbox; `id` is the right to renew and to release it.",
    {"id": str, **_SHOWN},
)
CURRENT_LEASE = Part("CurrentLease", "Who has the lease, null for nobody; without its id.", _SHOWN)


# Holds.


@transaction.atomic
def take_hold(ttl: float = DEFAULT_TTL, note: str = "") -> Token:
    """Take a new hold for `ttl` seconds; its id is never used again."""
    row = Hold.objects.create(id=f"HLD-{uuid.uuid4()}", note=note, expires=DatabaseTime() + ttl)
    _record("taken", row.id, note)
    return Token(row.id, note, ttl)


def release_hold(hold_id: str) -> None:
    """Release a hold; raises Missing if it was released before or has expired."""
    with transaction.atomic():
        rows = Hold.objects.filter(pk=hold_id, expires__gt=DatabaseTime())
        note = rows.values_list("note", flat=True).first()
        # Race: only one of several releases deletes the row.
        if rows.delete()[0]:
            _record("released", hold_id, note or "")
            return
    expire_holds()
    raise Missing(hold_id)


def holds() -> list[Token]:
    """Return the holds, after removing the expired ones; the first to expire first."""
    rows = Hold.objects.annotate(left=EXPIRES_IN).order_by("expires", "pk")
    tokens = [Token(*row) for row in rows.values_list("id", "note", "left")]
    active = [token for token in tokens if token.expires_in > 0]
    if len(active) < len(tokens):
        expire_holds()
    return active


@due_reached.connect
def expire_holds(**kwargs: object) -> None:
    """Remove the expired holds."""
    expired = Hold.objects.filter(expires__lte=DatabaseTime())
    for pk, note in list(expired.values_list("id", "note")):
        with transaction.atomic():
            # Race: only one process deletes and records it.
            if expired.filter(pk=pk).delete()[0]:
                _record("expired", pk, note)


def _record(action: str, pk: str, note: str) -> None:
    data = {"action": action, "id": pk, "note": note}
    timeline.append([Entry(timeline.HOLD, clock.now(), data=data)])


# The lease.


def take_lease(ttl: float = DEFAULT_TTL, note: str = "") -> Token | None:
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


def renew_lease(token: str, ttl: float = DEFAULT_TTL) -> Token:
    """Let the lease expire in `ttl` seconds from now; raises Missing if it has expired."""
    rows = _valid(token)
    note = rows.values_list("note", flat=True).first()
    if note is None or not rows.update(expires=DatabaseTime() + ttl):
        raise Missing(token)
    return Token(token, note, ttl)


def release_lease(token: str) -> None:
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


def lease() -> Token | None:
    """Return the lease, None if nobody has it."""
    row = Lease.objects.annotate(left=EXPIRES_IN).values_list("token", "note", "left").first()
    return Token(*row) if row and row[2] > 0 else None


def leased() -> Conflict:
    """Return the error of a caller who did not get the lease."""
    current = lease()
    who = f" by {current.note}" if current and current.note else ""
    left = f", for {current.expires_in:.0f} s unless renewed" if current else ""
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
        if waiting and lease() is None and (token := take_lease(waiting[0].ttl, waiting[0].note)):
            if not waiting[0].respond(waiting[0].answer(token)):
                _valid(token.id).delete()
                return 0.0
            waiting = waiting[1:]
        now = time.monotonic()
        for taker in waiting:
            if taker.deadline <= now:
                taker.respond(taker.answer(None))
        return _POLL


takers = Takers()
