"""Who may use the world: nobody while it is replaced, and one caller who has the lease.

The gate keeps requests, jobs and the delivery engine of this process out of a replacement.
`closed` stops claims, waits for handlers that still work, lets new requests wait, and pauses jobs
and the engine. A request that arrives meanwhile waits in the event loop, without a thread. Other
processes are kept out by the locks of the database.

The lease is the exclusive use of the sandbox, for as long as its holder renews it. Test runners
with several workers share one sandbox by it: a worker takes the lease for a test, resets, and moves
the one clock undisturbed. It binds callers who take it; others are not refused. A reset or restore
keeps it. Callers that wait for it are served in order by the observer, which a release wakes.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from django.db.models import QuerySet

from extensions import dispatch
from requests_queue.api.resources import Part
from requests_queue.db import pausing
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict, Missing, Refused
from requests_queue.queues.usage_file import leases as usage_leases
from sandbox import error_codes
from sandbox.clock import settle_times, settling
from sandbox.clock.settling import DEFAULT_TTL, TOKEN_FIELDS, Token, Unsettled
from sandbox.models import EXPIRES_IN, Lease
from sandbox.timeline import api_calls, observer
from sandbox.timeline.activity import Application, Scope
from sandbox.timeline.observer import Kind, Result, Waiter, look_until
from webhooks.models import Delivery

_guard = threading.Lock()
_delays: set[Future[None]] = set()
_suspensions = 0

PATIENCE = 10.0  # seconds for which requests and handlers may finish
ENTRY = 5.0  # seconds for which a request waits while the gate is closed
BACKGROUND = 2.0  # seconds for which jobs and the engine's current poll may finish
TURN = 30.0  # seconds for which a replacement waits for another one
# Seconds after its response for which a reset waits for a handler that has never called the API.
NEVER_CALLED = 0.25
_AGAIN = 0.1  # seconds after which to check again, if nothing is written to the timeline
# Seconds after which a waiting caller looks for a lease that expired, or that another process
# released.
_POLL = 0.25

# Paths that are served while the gate is closed: the replacements themselves, probes, and what
# waits for a long time and changes nothing by itself.
_PASSING = (
    "/sandbox/mcp",
    "/sandbox/reset",
    "/sandbox/snapshot",  # snapshots, and their files
    "/sandbox/wait",
    "/sandbox/clock",
    "/sandbox/lease",
    "/time/",
    "/snapshots/",
    "/static/",
    "/healthz",
    "/readyz",
    "/live/",
)


def begin_delay() -> Future[None]:
    """Return the future that ends a delay; it is done already while delays are suspended."""
    future: Future[None] = Future()
    with _guard:
        if _suspensions:
            future.set_result(None)
        else:
            _delays.add(future)
    future.add_done_callback(_forget)
    return future


def end_delay(future: Future[None]) -> None:
    """End a delay, unless the client has left."""
    with suppress(InvalidStateError):
        future.set_result(None)


@contextmanager
def delays_suspended() -> Iterator[None]:
    """End all delays, and begin none in the block."""
    global _suspensions
    with _guard:
        _suspensions += 1
        delays = list(_delays)
    try:
        for future in delays:
            end_delay(future)
        yield
    finally:
        with _guard:
            _suspensions -= 1


def _forget(future: Future[None]) -> None:
    with _guard:
        _delays.discard(future)


class Busy(Refused):
    """A replacement cannot begin now (503); nothing has been changed."""

    def __init__(self, reason: str) -> None:
        super().__init__("SYS_503", f"{reason} Nothing was changed. Try again.", status=503)


class Gate:
    """Counts the requests that have passed, and keeps others waiting while it is closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_closed = False
        # Requests that have passed and not ended.
        self.inside = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def enter(self, timeout: float) -> bool:
        """Pass the gate when it is open; return False if it stays closed for `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            opened = asyncio.Event()
            entry = (loop, opened)
            with self._changed:
                if not self._is_closed:
                    self.inside += 1
                    return True
                self._waiting.add(entry)
            try:
                await asyncio.wait_for(opened.wait(), max(0.0, deadline - loop.time()))
            except TimeoutError:
                return False
            finally:
                with self._changed:
                    self._waiting.discard(entry)

    def leave(self) -> None:
        """End a request that has passed."""
        with self._changed:
            self.inside -= 1
            self._changed.notify_all()

    @contextmanager
    def closed(self, timeout: float) -> Iterator[int]:
        """Close the gate, and wait for the requests inside; yield how many have not ended."""
        with self._changed:
            self._is_closed = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self.inside, timeout)
                left = self.inside
            yield left
        finally:
            with self._changed:
                self._is_closed = False
                waiting = list(self._waiting)
            for loop, opened in waiting:
                # RuntimeError: the loop has ended.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(opened.set)


requests = Gate()
_turn = threading.Lock()


@contextmanager
def closed(patience: float = PATIENCE, settle: float | None = None) -> Iterator[list[str]]:
    """Keep everything out of the world; yield what had not ended after `patience` seconds.

    `settle` replaces the settle times of all handlers (seconds). Raises Busy if another
    replacement, or a job, does not end.
    """
    deadline = time.monotonic() + patience
    if not _turn.acquire(timeout=TURN):
        raise Busy("Another reset or restore is running.")
    try:
        # A held response would be inside the gate until it is released.
        with pausing.draining(), delays_suspended():
            left = [each.text for each in _wait_for_handlers(deadline, settle)]
            with requests.closed(max(0.0, deadline - time.monotonic())) as inside:
                if inside:
                    left.append(f"{inside} requests of the API or the portal are running.")
                try:
                    with pausing.paused(BACKGROUND), api_calls.paused():
                        yield left
                except TimeoutError:
                    raise Busy("A job of the platform is running.") from None
    finally:
        _turn.release()


def _wait_for_handlers(deadline: float, settle: float | None) -> list[Unsettled]:
    """Wait until handlers have probably ended their work; return what has not at the deadline."""
    left: list[Unsettled] = []

    def look() -> float | None:
        left[:] = _unsettled(settle)
        return min((each.seconds for each in left), default=None)

    look_until(look, deadline)
    return left


def _unsettled(settle: float | None) -> list[Unsettled]:
    """Return requests in flight, what is processed, and handlers that may still work.

    Due deliveries and holds are dropped instead. Only reads: `jobs.busy` would wait for locks.
    """
    in_flight = Delivery.objects.filter(state=Delivery.CALLING).order_by("pk")
    result = [
        Unsettled(settling.IN_FLIGHT, f"Delivery {pk} is in flight.", frozenset({pk}), _AGAIN)
        for pk in in_flight.values_list("pk", flat=True)
    ]
    result += [
        Unsettled(settling.PROCESSING, f"{pk} is being processed.", frozenset({pk}), _AGAIN)
        for pk in usage_leases.in_progress()
    ]
    result += [
        Unsettled(settling.PROCESSING, f"{each} is being processed.", frozenset({each}), _AGAIN)
        for each in dispatch.in_progress()
    ]
    for each in settling.of_handlers(settle):
        is_learned = settle is None and each.kind == settling.SETTLE_TIME
        spare = _spare(each.keys) if is_learned else 0.0
        if each.seconds > spare:
            result.append(replace(each, seconds=each.seconds - spare))
    return result


def _spare(keys: frozenset[Hashable]) -> float:
    """Return by how many seconds a reset waits less for a handler than a move of the clock."""
    [(_, url, _)] = cast(frozenset[tuple[str, str, Any]], keys)
    is_unknown = settling.settle_time(url).source == "default"
    return settle_times.UNKNOWN - NEVER_CALLED if is_unknown else 0.0


def wait_at_gate(app: Application) -> Application:
    """Return the ASGI application behind the gate."""

    async def behind(scope: Scope, receive: Any, send: Any) -> None:
        if _passes(scope):
            await app(scope, receive, send)
        elif await requests.enter(ENTRY):
            try:
                await app(scope, receive, send)
            finally:
                requests.leave()
        else:
            await _refuse(scope, send)

    return behind


def _passes(scope: Scope) -> bool:
    path: str = scope["path"]
    if path.startswith("/sandbox/") and scope["method"] in ("GET", "HEAD"):
        return True
    return path.startswith(_PASSING)


async def _refuse(scope: Scope, send: Any) -> None:
    text = "The sandbox is being reset. Try again in a few seconds."
    advice = error_codes.of_path(scope["path"], "SYS_503")
    body = json.dumps({"error_code": "SYS_503", "errors": [text], **advice}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# The lease.

LEASE = Part(
    "Lease",
    "A lease of the sandbox; `id` is the right to renew and to release it.",
    {"id": str, **TOKEN_FIELDS},
)
CURRENT_LEASE = Part(
    "CurrentLease", "Who has the lease, null for nobody; without its id.", TOKEN_FIELDS
)


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


def current_lease() -> Token | None:
    """Return the lease, None if nobody has it."""
    row = Lease.objects.annotate(left=EXPIRES_IN).values_list("token", "note", "left").first()
    return Token(*row) if row and row[2] > 0 else None


def lease_conflict() -> Conflict:
    """Return the error of a caller who did not get the lease."""
    current = current_lease()
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
        if (
            waiting
            and current_lease() is None
            and (token := take_lease(waiting[0].ttl, waiting[0].note))
        ):
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
