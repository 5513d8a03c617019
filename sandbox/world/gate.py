"""The gate: it keeps requests, jobs and the delivery engine of this process out of a replacement.

`closed` stops claims, waits for handlers that still work, lets new requests wait, and pauses jobs
and the engine. A request that arrives meanwhile waits in the event loop, without a thread. Other
processes are kept out by the locks of the database.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Hashable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from requests_queue.db import pausing
from requests_queue.errors import Refused
from requests_queue.queues.usage_file import leases
from sandbox.clock import settle_times, settling
from sandbox.clock.settling import Unsettled
from sandbox.timeline import api_calls
from sandbox.timeline.activity import Application, Scope
from sandbox.timeline.observer import look_until
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

# Paths that are served while the gate is closed: the replacements themselves, probes, and what
# waits for a long time and changes nothing by itself.
_PASSING = (
    "/sandbox/reset",
    "/sandbox/snapshots",
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
def closed(patience: float = PATIENCE) -> Iterator[list[str]]:
    """Keep everything out of the world; yield what had not ended after `patience` seconds.

    Raises Busy if another replacement, or a job, does not end.
    """
    deadline = time.monotonic() + patience
    if not _turn.acquire(timeout=TURN):
        raise Busy("Another reset or restore is running.")
    try:
        # A held response would be inside the gate until it is released.
        with pausing.draining(), delays_suspended():
            left = [each.text for each in _wait_for_handlers(deadline)]
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


def _wait_for_handlers(deadline: float) -> list[Unsettled]:
    """Wait until handlers have probably ended their work; return what has not at the deadline."""
    left: list[Unsettled] = []

    def look() -> float | None:
        left[:] = _unsettled()
        return min((each.seconds for each in left), default=None)

    look_until(look, deadline)
    return left


def _unsettled() -> list[Unsettled]:
    """Return requests in flight, usage files in processing, and handlers that may still work.

    Due deliveries and holds are dropped instead. Only reads: `jobs.busy` would wait for locks.
    """
    in_flight = Delivery.objects.filter(state=Delivery.CALLING).order_by("pk")
    result = [
        Unsettled(settling.IN_FLIGHT, f"Delivery {pk} is in flight.", frozenset({pk}), _AGAIN)
        for pk in in_flight.values_list("pk", flat=True)
    ]
    result += [
        Unsettled(settling.PROCESSING, f"{pk} is being processed.", frozenset({pk}), _AGAIN)
        for pk in leases.in_progress()
    ]
    for each in settling.of_handlers():
        spare = _spare(each.keys) if each.kind == settling.SETTLE_TIME else 0.0
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
    body = json.dumps({"error_code": "SYS_503", "errors": [text]}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
