"""API calls of handlers in flight: how many all processes serve, and when the last one ended.

A call counts from the arrival of its head until its last byte is sent or the client has left.
Calls with the header `X-Sandbox-Actor: test` are those of a test, not of a handler, and don't
count.

If there are several processes, each one that serves calls has a row for the others. It is written
before the first call of a busy period is served, and at most every PAUSE seconds afterwards.

Responses of Connect's API have a `Date` in platform time; the web server adds the real time to all
others.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

from requests_queue import clock, heartbeats
from requests_queue.db.sql import DatabaseTime
from sandbox.models import ProcessActivity
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

API = "/public/v1"
ACTOR_HEADER = "X-Sandbox-Actor"
PAUSE = 0.05  # seconds between two writes of the row
IDLE = 10.0  # seconds after which the thread that writes it ends
_RETRY = 1.0  # seconds before another try if the database is unavailable
_FORGOTTEN = 3600.0  # seconds after which the row of another process is deleted

# Identifies a call in flight: its process, and its number in that process.
CallKey = tuple[str, int]
GetResponse = Callable[[HttpRequest], HttpResponse]


@dataclass(frozen=True, slots=True)
class Totals:
    """Calls in flight, and the seconds since the last one ended; None if none has."""

    calls: frozenset[CallKey]
    idle: float | None

    @property
    def in_flight(self) -> int:
        """Return how many calls are in flight."""
        return len(self.calls)


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A call that has begun; `published` is what it has to wait for before it is served.

    None if there is no other process, or if the row says already that calls are in flight.
    """

    number: int
    published: Future[None] | None = None


def is_api(path: str) -> bool:
    """Return whether a path, normalized by the web server, is one of Connect's API."""
    return f"{path}/".startswith(f"{API}/")


class Activity:
    """The calls that one process serves; `begin` and `end` from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: set[int] = set()
        self._numbers = itertools.count(1)
        # Monotonic.
        self._last_end: float | None = None
        # Whether the row has said since the last idle moment that calls are in flight.
        self._is_published = False
        self._is_dirty = False
        self._waiting: list[Future[None]] = []
        self._thread: threading.Thread | None = None

    def begin(self) -> BegunCall:
        """Count a call."""
        with self._changed:
            number = next(self._numbers)
            self._calls.add(number)
            if wakeup.is_broker_in_memory():
                return BegunCall(number)
            self._mark_dirty()
            if self._is_published:
                return BegunCall(number)
            future: Future[None] = Future()
            self._waiting.append(future)
            return BegunCall(number, future)

    def end(self, call: BegunCall) -> None:
        """Count the end of a call."""
        with self._changed:
            self._calls.remove(call.number)
            self._last_end = time.monotonic()
            if not wakeup.is_broker_in_memory():
                self._mark_dirty()

    def totals(self) -> Totals:
        """Return the numbers of this process."""
        process = _process()
        with self._changed:
            last = self._last_end
            idle = None if last is None else max(0.0, time.monotonic() - last)
            return Totals(frozenset((process, number) for number in self._calls), idle)

    def _mark_dirty(self) -> None:
        self._is_dirty = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="activity", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    # The thread that writes the row.

    def _run(self) -> None:
        """Write the row whenever it changes, until nothing has for IDLE seconds."""
        pause = 0.0
        while (state := self._next(pause)) is not None:
            totals, waiting = state
            is_written = _write(totals)
            pause = PAUSE if is_written else _RETRY
            with self._changed:
                self._is_published = is_written and totals.in_flight > 0
                self._is_dirty = self._is_dirty or not is_written
            for future in waiting:
                # Without a database the call is served all the same, and fails by itself.
                if future.set_running_or_notify_cancel():
                    future.set_result(None)
        connection.close()

    def _next(self, pause: float) -> tuple[Totals, list[Future[None]]] | None:
        """Wait until the row is to be written; return what it says, and which calls wait for it."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting), pause)
            # While calls are in flight the row is renewed, or it would count as a dead process's.
            timeout = heartbeats.INTERVAL if self._calls else IDLE
            if not self._changed.wait_for(lambda: self._is_dirty, timeout) and not self._calls:
                self._thread = None
                return None
            self._is_dirty = False
            waiting, self._waiting = self._waiting, []
            totals = self.totals()
            if not totals.calls:
                # The next call waits for a row of its own.
                self._is_published = False
            return totals, waiting


def _process() -> str:
    return f"{socket.gethostname()[:64]}:{os.getpid()}"


def _write(totals: Totals) -> bool:
    """Write this process's row; return False if the database is unavailable."""
    now = DatabaseTime()
    row = ProcessActivity(
        process=_process(),
        calls=sorted(number for _, number in totals.calls),
        last_end=None if totals.idle is None else now - totals.idle,
        at=now,
    )
    try:
        ProcessActivity.objects.filter(at__lt=now - _FORGOTTEN).delete()
        ProcessActivity.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["process"],
            update_fields=["calls", "last_end", "at"],
        )
    except DatabaseError as error:
        logger.warning(
            "The activity of this process could not be written: %s", type(error).__name__
        )
        connection.close()
        return False
    return True


_activity = Activity()


def in_flight() -> int:
    """Return how many calls of handlers this process serves."""
    return _activity.totals().in_flight


def all_processes() -> Totals:
    """Return the numbers of all processes; one statement, or none if this is the only one.

    The others report the end of a call up to PAUSE late, and a busy period before they serve it.
    """
    own = _activity.totals()
    if wakeup.is_broker_in_memory():
        return own
    now = DatabaseTime()
    others = ProcessActivity.objects.exclude(process=_process()).annotate(
        age=now - F("at"), idle=now - F("last_end")
    )
    calls, ages = set(own.calls), [own.idle]
    for process, numbers, age, idle in others.values_list("process", "calls", "age", "idle"):
        ages.append(idle)
        if age <= heartbeats.EXPIRES_AFTER:
            calls.update((process, number) for number in numbers)
    known = [age for age in ages if age is not None]
    return Totals(frozenset(calls), max(0.0, min(known)) if known else None)


def count_api_calls(application: Application) -> Application:
    """Return the ASGI application with its API calls of handlers counted."""

    async def counting(scope: Scope, receive: Any, send: Any) -> None:
        if not _counts(scope):
            await application(scope, receive, send)
            return
        call = _activity.begin()
        try:
            if call.published is not None:
                await asyncio.wrap_future(call.published)
            await application(scope, receive, send)
        finally:
            _activity.end(call)

    return counting


def _counts(scope: Scope) -> bool:
    if not is_api(scope["path"]):
        return False
    name = ACTOR_HEADER.lower().encode()
    return not any(
        key == name and is_test(value.decode("latin-1")) for key, value in scope["headers"]
    )


def is_test(actor: str) -> bool:
    """Return whether the value of ACTOR_HEADER says that a test makes the call."""
    return actor.strip().lower() == "test"


def add_date(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if is_api(request.path_info):
            try:
                response["Date"] = http_date(clock.now().timestamp())
            except DatabaseError:
                # The response says that the database is unavailable.
                pass
        return response

    return middleware
