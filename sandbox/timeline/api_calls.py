"""Record every API call made with an API key, off the thread of its request.

The first transaction of a request that changes what others react to writes the call's entry in
the timeline, without its response: so it is committed before anything that comes of it. At the end
the middleware gives what it knows to a `Recorder` in memory. `flush` stores it
(`call_storage`): in a thread of the web server's process from time to time, and before anything
reads API calls, the timeline, or whether the sandbox is settled. In one process also before the
next request that may change something.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from requests_queue import clock
from requests_queue.db import database_errors
from requests_queue.operations import QUESTION, WAITED
from requests_queue.redaction import Redaction
from requests_queue.signals import storing_changes
from sandbox.models import ApiCall
from sandbox.timeline import activity, call_storage, observer, timeline
from sandbox.timeline.activity import GetResponse
from sandbox.timeline.call_storage import MAX_BODY, RecordedCall
from webhooks.delivery import wakeup
from webhooks.signals import recording_attempts

logger = logging.getLogger(__name__)

MAX_CALLS = 10_000  # that wait to be stored
MAX_BYTES = 64 * 1024 * 1024
_BATCH = 500  # calls of one transaction
_WARN = 60.0  # seconds between two warnings of calls that are not recorded

_FULL = "Later calls are not recorded."


class Recorder:
    """Recorded calls that are not stored yet; all methods from any thread.

    At most MAX_CALLS and MAX_BYTES, beyond which calls are not recorded.
    """

    def __init__(
        self, store: Callable[[Sequence[RecordedCall]], None] = call_storage.store
    ) -> None:
        self._store = store
        self._calls: deque[RecordedCall] = deque()
        self._bytes = 0
        # Open entries of calls that are not stored: a flush removes them, or a later one.
        self._dropped: list[int] = []
        # How many of a flush in progress are not among the calls any more.
        self._taken = 0
        self._guard = threading.Lock()
        self._storing = threading.RLock()
        self._warned_at = float("-inf")
        # Of the latest store that failed because the database was unavailable.
        self._error = ""
        # Set while there are calls to store.
        self.arrived = threading.Event()

    def add(self, call: RecordedCall) -> None:
        """Record a call, unless too many wait to be stored."""
        size = call.size
        with self._guard:
            if self._fits(size):
                self._calls.append(call)
                self._bytes += size
            else:
                self._dropped += call.opened
                self._warn(_FULL)
        if not self.arrived.is_set():
            self.arrived.set()

    def flush(self, *, warns: bool = True) -> bool:
        """Store what is recorded, and wait for a flush of another thread; raises no Exception.

        Nothing is stored inside a transaction, which may be rolled back. Return whether everything
        is stored; after an error of the database the rest is kept, which is logged unless `warns`
        is False.
        """
        if connection.in_atomic_block:
            return False
        with self._storing:
            while batch := self._take():
                if rest := self._store_batch(batch):
                    self.put_back(rest)
                    if warns:
                        self._warn(self._error)
                    return False
            dropped = self._dropped[:]
            try:
                timeline.remove(dropped)
                del self._dropped[: len(dropped)]
            except DatabaseError:
                connection.close_if_unusable_or_obsolete()
            return True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Store what is recorded, and keep what is recorded from then on until the block ends."""
        with self._storing:
            self.flush()
            yield

    def clear(self) -> None:
        """Forget what is recorded; for tests."""
        with self._guard:
            self._calls.clear()
            self._dropped.clear()
            self._bytes = 0
            self.arrived.clear()

    @property
    def is_empty(self) -> bool:
        """Whether everything is stored; False until a flush in progress has ended."""
        return not self._calls and not self._taken

    @property
    def is_ordered(self) -> bool:
        """Whether everything is stored, or has a place in the timeline before later entries."""
        with self._guard:
            return not self._taken and all(call.opened for call in self._calls)

    @property
    def withholds(self) -> bool:
        """Whether later entries cannot be read before a call is stored."""
        with self._guard:
            return bool(self._taken or self._dropped) or any(call.opened for call in self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def _fits(self, size: int) -> bool:
        return len(self._calls) < MAX_CALLS and self._bytes + size <= MAX_BYTES

    def _take(self) -> list[RecordedCall]:
        with self._guard:
            # First, for `is_empty`.
            self._taken = min(_BATCH, len(self._calls))
            batch = [self._calls.popleft() for _ in range(self._taken)]
            self._bytes -= sum(call.size for call in batch)
            if not self._calls:
                self.arrived.clear()
            return batch

    def put_back(self, batch: Sequence[RecordedCall]) -> None:
        """Record calls again that could not be stored, before the others."""
        rest = list(batch)
        with self._guard:
            self._taken = 0
            while rest and self._fits(rest[-1].size):
                call = rest.pop()
                self._calls.appendleft(call)
                self._bytes += call.size
            if rest:
                self._dropped += [pk for call in rest for pk in call.opened]
                self._warn(_FULL)
        self.arrived.set()

    def _warn(self, reason: str) -> None:
        if time.monotonic() >= self._warned_at + _WARN:
            self._warned_at = time.monotonic()
            logger.warning("%d API calls are not stored yet. %s", len(self._calls), reason)

    def _store_batch(self, batch: list[RecordedCall]) -> list[RecordedCall]:
        """Store a batch, or after an error its parts; return the rest if the database is away.

        A call that cannot be stored is left out, and never blocks the others.
        """
        try:
            self._store(batch)
        except Exception as error:
            # Closes an unusable connection, so that the next query opens a new one.
            connection.close_if_unusable_or_obsolete()
            if database_errors.unavailable(error):
                self._error = database_errors.summary(error)
                return batch
            if len(batch) == 1:
                [call] = batch
                path = Redaction().text(call.path)
                logger.exception("The API call %s %s cannot be stored.", call.method, path)
                self._dropped += call.opened
                return []
            half = len(batch) // 2
            if rest := self._store_batch(batch[:half]):
                return [*rest, *batch[half:]]
            return self._store_batch(batch[half:])
        return []


PERIOD = 0.25  # seconds in which the thread collects calls for one store
SHORTEST = 0.05  # the same if there are other processes, and no call of a handler is in flight
_RETRY = 1.0  # seconds before another try if the database is unavailable

# Key of the environment of a request: the faults that fired, as they are stored.
FAULTS = "sandbox.faults"
_MAX_AGENT = 2000  # characters of the client's name that are searched for secrets
_SAFE = ("GET", "HEAD", "OPTIONS")
_TEXTUAL = ("text/", "application/x-www-form-urlencoded")

_recorder = Recorder()


@receiver(recording_attempts)
def flush(**kwargs: Any) -> None:
    """Store the recorded calls of this process: see `Recorder.flush`.

    Also before the ends of attempts, whose entries are after those of calls that were made until
    then; outside their transaction, since a flush of another thread may wait for it.
    """
    _recorder.flush()


def complete() -> None:
    """Store the recorded calls if entries that are no API calls cannot be read before."""
    if _recorder.withholds:
        _recorder.flush()


paused = _recorder.paused
clear = _recorder.clear


@dataclass(frozen=True, slots=True)
class Start:
    """A call that is served: its start in Unix time, and the ids of its open entries."""

    request: HttpRequest
    started: float
    opened: list[int] = field(default_factory=list)

    def caller(self) -> tuple[str, str | None, str]:
        """Return actor, account and service user, as far as they are known."""
        user = self.request.__dict__.get("user")
        # A lazy user is the session's: the API has not authenticated the request.
        caller = None if isinstance(user, SimpleLazyObject) else user
        is_test = activity.is_test(self.request.META.get("HTTP_X_SANDBOX_ACTOR", ""))
        return (
            ApiCall.TEST if is_test else ApiCall.HANDLER,
            getattr(caller, "account_id", None),
            getattr(caller, "uid", None) or "",
        )


_served: ContextVar[Start | None] = ContextVar("served", default=None)


# The middleware.


def record_api_calls(get_response: GetResponse) -> GetResponse:
    """Return a middleware that records the calls of `/public/v1` with an `Authorization` header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        environ = request.META
        is_api = activity.is_api(environ["PATH_INFO"])
        may_change = environ["REQUEST_METHOD"] not in _SAFE and wakeup.is_broker_in_memory()
        if may_change and not (_recorder.is_ordered if is_api else _recorder.is_empty):
            # Before its entries, or before it moves the clock. If the database is unavailable, the
            # request itself reports it.
            _recorder.flush(warns=False)
        if "HTTP_AUTHORIZATION" not in environ or not is_api:
            return get_response(request)
        waited = environ.get(WAITED, 0.0)
        started, began = time.time() - waited, time.monotonic() - waited
        sent, sent_note = _request_body(request)
        start = Start(request, started)
        token = _served.set(start)
        try:
            response = get_response(request)
        finally:
            _served.reset(token)
        duration = (time.monotonic() - began) * 1000
        if environ.get(QUESTION) is None or response.status_code != 204:
            _recorder.add(_recorded(start, response, sent, sent_note, duration))
            if start.opened:
                # Who waits can read now what the call has caused.
                observer.announce()
        return response

    return middleware


@receiver(storing_changes)
def store_start(**kwargs: Any) -> None:
    """Write the start of the call that this thread serves, if any, unless that is committed.

    Its entry is before those of the changes that it makes. Several changes of one transaction write
    it several times, of which `call_storage` keeps one.
    """
    start = _served.get()
    if start is None or start.opened:
        return
    actor, account, key = start.caller()
    request = start.request
    data = {
        "id": None,
        "method": request.method,
        # Only ids can be in the path of a request that changes something.
        "path": request.path,
        "query": "",
        "status": None,
        "error_code": "",
        "duration": None,
        "actor": actor,
        "account": account,
        "key": key,
        "link": "",
    }
    real_at, state = datetime.fromtimestamp(start.started, UTC), clock.state()
    pk = timeline.open_call(state.frozen_at or real_at + state.offset, real_at, data)
    transaction.on_commit(partial(start.opened.append, pk))


def _recorded(
    start: Start, response: HttpResponse, sent: bytes, sent_note: str, duration: float
) -> RecordedCall:
    request = start.request
    environ, path = request.META, request.path
    returned, returned_note = _response_body(response)
    is_truncated = False
    if response.status_code < 400 and not call_storage.may_have_secrets(path):
        is_truncated = len(sent) > MAX_BODY or len(returned) > MAX_BODY
        sent, returned = sent[:MAX_BODY], returned[:MAX_BODY]
    return RecordedCall(
        start.started,
        duration,
        *start.caller(),
        (request.method or "")[:10],
        path,
        environ.get("QUERY_STRING", ""),
        response.status_code,
        environ.get("HTTP_USER_AGENT", "")[:_MAX_AGENT],
        sent,
        returned,
        sent_note,
        returned_note,
        is_truncated,
        environ.get(FAULTS, ()),
        start.opened,
        credential=environ["HTTP_AUTHORIZATION"],
    )


def _request_body(request: HttpRequest) -> tuple[bytes, str]:
    """Return a body that is text, or a description of another one, which is not read."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    length = int(declared) if declared.isdigit() else 0
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if not length:
        return b"", ""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    if kind.startswith("multipart/") or not _is_text(kind) or length > most:
        return b"", _note(kind, length)
    # The parser reads the body completely too, and finds it here.
    return request.body, ""


def _response_body(response: HttpResponse) -> tuple[bytes, str]:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.streaming:
        length = response.headers.get("Content-Length", "unknown number of")
        return b"", _note(kind, length)
    if response.content and not _is_text(kind):
        return b"", _note(kind, len(response.content))
    return response.content, ""


def _is_text(kind: str) -> bool:
    """Return whether a content type is text; the API parses a body without any as JSON."""
    return (
        not kind or "json" in kind or "xml" in kind.partition("+")[2] or kind.startswith(_TEXTUAL)
    )


def _note(kind: str, length: int | str) -> str:
    return f"[{kind or 'no content type'}, {length} bytes]"


# The thread of the web server's process.


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Store recorded calls from time to time while the web server runs, the rest at its end."""
    stopping = threading.Event()
    thread = threading.Thread(target=_store_forever, args=[stopping], name="api-calls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        _recorder.arrived.set()
        thread.join(5)


def _store_forever(stopping: threading.Event) -> None:
    try:
        while not stopping.is_set():
            _recorder.arrived.wait()
            _collect(stopping)
            if not _recorder.flush() and not stopping.is_set():
                stopping.wait(_RETRY)
        _recorder.flush()
    finally:
        connection.close()


def _collect(stopping: threading.Event) -> None:
    """Wait for more calls to store, since a call that is stored alone takes several times as much.

    What reads calls in this process stores them first. Other processes read what is stored: they
    may rely on it `settling.REPORTED` seconds after the last call has ended, and not before.
    """
    if wakeup.is_broker_in_memory():
        stopping.wait(PERIOD)
        return
    for _ in range(round(PERIOD / SHORTEST)):
        if stopping.wait(SHORTEST) or not activity.in_flight():
            return
