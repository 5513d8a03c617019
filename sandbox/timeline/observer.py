"""The observer: it notifies threads and pages of changes, and answers callers that wait for them.

In one process a commit notifies threads directly. Across processes PostgreSQL's NOTIFY does, and on
SQLite its change counter, which is read every POLL seconds while somebody waits. Pages hear what
changes by `requests_queue.topics`: of no account what all may see. Code that waits in a thread of
its own uses `look_until`.

One thread serves all callers of this process. A caller registers a `Waiter` with a `Kind` of
condition: on whose behalf it waits, until when, and the future of its response. The thread runs
while there are waiters, is woken by changes, and lets each kind read the database once for all its
waiters. `respond` lets the web server wait for the future without a thread
(`connect_sim.server.deferred`, which this package does not import).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from requests_queue.api import fast_json
from requests_queue.errors import Refused
from sandbox import error_codes
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

CHANNEL = "connect_sim_timeline"
_NOTIFY = f"SELECT pg_notify('{CHANNEL}', '')"  # at the commit
POLL = 0.1  # seconds
RECONNECT = 1.0  # seconds until a listener without a database tries again
# Topics of pages.
CALLS, FAULTS, CHECKS = "calls", "faults", "checks"

MAX_PER_KEY = 500  # waiters of a kind with the same owner
MAX_WAIT = 600.0  # seconds for which a caller may wait
# Seconds after which a thread looks again without a change, if nothing else is known.
LONGEST = 60.0
_FAILURE_PAUSE = 0.5  # seconds until a kind is tried again after an error
# Key of the environment of a request, by which the web server waits for its response.
DEFERRED = "connect_sim.deferred"


class Changes:
    """The changes that threads of this process wait for, and the thread that hears of others'."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        # Threads in `wait`.
        self._waiting = 0
        self._listener: threading.Thread | None = None
        self._starting = threading.Lock()

    def announce(self) -> None:
        """Notify the waiting threads of this process."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def count(self) -> int:
        """Return a number that grows with each notification."""
        return self._count

    def wait(self, seen: int, timeout: float | None = None) -> int:
        """Wait until `count()` differs from `seen` or the timeout (seconds); return the count."""
        self._ensure_listener()
        with self._changed:
            self._waiting += 1
            # The listener may pause while nobody waits.
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._count != seen, timeout)
            finally:
                self._waiting -= 1
            return self._count

    # Changes of other processes.

    def _ensure_listener(self) -> None:
        """Start this process's listener, unless all writers are in this process."""
        if wakeup.is_broker_in_memory():
            return
        with self._starting:
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(
                    target=self._listen, name="timeline-listener", daemon=True
                )
                self._listener.start()

    def _listen(self) -> None:
        is_postgresql = connection.vendor == "postgresql"
        listen = self._listen_postgresql if is_postgresql else self._poll_sqlite
        while True:
            try:
                listen()
            except Exception:
                # The database is unavailable: waiting threads read it at intervals meanwhile.
                connection.close()
                self.announce()
                time.sleep(RECONNECT)

    def _listen_postgresql(self) -> None:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        # Entries that were committed before LISTEN.
        self.announce()
        driver: Any = connection.connection
        for _ in driver.notifies():
            self.announce()

    def _poll_sqlite(self) -> None:
        last = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting > 0)
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA data_version")
                [version] = cursor.fetchone()
            if version != last:
                last = version
                self.announce()
            time.sleep(POLL)


_changes = Changes()
announce, count, wait = _changes.announce, _changes.count, _changes.wait


def announce_after_commit() -> None:
    """Notify all waiting threads when the transaction is committed."""
    if _reaches_processes():
        with connection.cursor() as cursor:
            cursor.execute(_NOTIFY)
    announce_here_after_commit()


def notifying(change: str) -> str:
    """Return a statement that changes the same and notifies other processes at the commit.

    For this process call `announce_here_after_commit`.
    """
    return f"WITH changed AS ({change}) {_NOTIFY}" if _reaches_processes() else change


def announce_here_after_commit() -> None:
    """Notify the waiting threads of this process when the transaction is committed."""
    transaction.on_commit(announce, robust=True)


def _reaches_processes() -> bool:
    return connection.vendor == "postgresql" and not wakeup.is_broker_in_memory()


def look_until(look: Callable[[], float | None], deadline: float = math.inf) -> bool:
    """Call `look` now and after each change until it returns None; False at the deadline.

    It returns after how many seconds to look again without a change.
    """
    while True:
        seen = count()
        seconds = look()
        if seconds is None:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        wait(seen, max(0.0, min(seconds, left, LONGEST)))


# Callers.


class Result(NamedTuple):
    """The response of a future."""

    status: int
    content_type: str
    body: bytes


def respond(
    request: HttpRequest, future: Future[Result], *, needs_client: bool = False
) -> HttpResponse:
    """Return the response, or a placeholder that the web server replaces later.

    With `needs_client` the wait ends with 400 if the client closes its side of the connection.
    """
    deferral = request.META.get(DEFERRED)
    if deferral is not None and not future.done():
        deferral.future, deferral.needs_client = future, needs_client
        return HttpResponse(content_type="application/json")
    result = future.result()
    return HttpResponse(result.body, result.content_type, result.status)


def json_result(status: int, body: Any) -> Result:
    """Return a response with a body as JSON."""
    return Result(status, "application/json", fast_json.encode(body))


def refusal(error: Refused) -> Result:
    """Return the response of an error."""
    body = {"error_code": error.code, "errors": error.messages, **error_codes.advice(error.code)}
    return json_result(error.status, body)


UNAVAILABLE = refusal(
    Refused("SYS_503", "The database is unavailable. Try again later.", status=503)
)


class TooManyWaits(Refused):
    """The API key has MAX_PER_KEY waits already (429)."""

    status = 429

    def __init__(self) -> None:
        text = f"At most {MAX_PER_KEY} waits of an API key at the same time. Try again later."
        super().__init__("WAIT_002", text)


@dataclass(eq=False, kw_only=True, slots=True)
class Waiter:
    """Somebody who waits until `deadline` (monotonic); `owner` is the caller's user.

    Waiters without an owner are the sandbox's own, and not limited.
    """

    owner: str = ""
    deadline: float = math.inf
    future: Future[Any] = field(default_factory=Future)

    def respond(self, result: Any) -> bool:
        """Give the caller its result; return False if it has left."""
        try:
            self.future.set_result(result)
        except InvalidStateError:
            return False
        return True


W = TypeVar("W", bound=Waiter)


class Kind(ABC, Generic[W]):
    """A kind of condition, and how its waiters get their responses."""

    @abstractmethod
    def turn(self) -> float:
        """Respond to the waiters whose condition is true, or whose deadline is over.

        Return after how many seconds to look again without a change; deadlines are looked after.
        """

    def left(self, waiters: list[W]) -> None:
        """Clean up after waiters that have their response, or that have left."""

    def unavailable(self, waiter: W) -> None:
        """Respond to a waiter at whose deadline the database is unavailable."""
        waiter.respond(UNAVAILABLE)


class Observer:
    """The waiters of this process, by kind."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._waiters: dict[Kind[Any], list[Any]] = {}
        self._thread: threading.Thread | None = None

    def add(self, kind: Kind[W], waiter: W) -> None:
        """Register a waiter; raises TooManyWaits."""
        with self._guard:
            self.check_limit(kind, waiter.owner)
            self._waiters.setdefault(kind, []).append(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
                self._thread.start()
        # Also when the client leaves: the thread ends with the last waiter.
        waiter.future.add_done_callback(lambda future: announce())
        # What has been written since the caller looked, and the new deadline.
        announce()

    def check_limit(self, kind: Kind[Any], owner: str) -> None:
        """Raise TooManyWaits if there is no place for a waiter."""
        if owner and sum(each.owner == owner for each in self.waiting(kind)) >= MAX_PER_KEY:
            raise TooManyWaits

    def waiting(self, kind: Kind[W]) -> list[W]:
        """Return the waiters of a kind without a response, first come first."""
        with self._guard:
            return [each for each in self._waiters.get(kind, ()) if not each.future.done()]

    # The thread.

    def _run(self) -> None:
        try:
            look_until(self._turns)
        finally:
            connection.close()

    def _turns(self) -> float | None:
        """Let each kind take a turn; return None at the end of the thread, which has no waiters."""
        with self._guard:
            kinds = [kind for kind, waiters in self._waiters.items() if waiters]
            if not kinds:
                self._thread = None
                return None
        return min(map(self._turn, kinds))

    def _turn(self, kind: Kind[Any]) -> float:
        with self._guard:
            gone = [each for each in self._waiters[kind] if each.future.done()]
        try:
            kind.left(gone)
            with self._guard:
                for each in gone:
                    self._waiters[kind].remove(each)
                if not self._waiters[kind]:
                    return 0.0
            seconds = kind.turn()
        except Exception:
            logger.exception("What callers wait for could not be read. It is tried again.")
            connection.close()
            for each in self.waiting(kind):
                if each.deadline <= time.monotonic():
                    kind.unavailable(each)
            seconds = _FAILURE_PAUSE
        deadlines = [each.deadline for each in self.waiting(kind)]
        return min(seconds, min(deadlines, default=math.inf) - time.monotonic())


_observer = Observer()
add = _observer.add
check_limit = _observer.check_limit
waiting = _observer.waiting
