"""Record every API call made with an API key, off the thread of its request.

The middleware puts what it knows into a queue in memory. `flush` stores it (`call_storage`): in a
thread of the web server's process from time to time, and before anything reads API calls, the
timeline, or whether the sandbox is settled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from requests_queue import database_errors
from sandbox import activity, call_storage
from sandbox.call_storage import MAX_BODY, RecordedCall
from sandbox.models import ApiCall
from webhooks.delivery import wakeup

logger = logging.getLogger(__name__)

# Seconds between two stores of the thread. What reads calls in this process stores them first;
# other processes read what is stored.
PERIOD, PERIOD_ALONE = 0.05, 0.25
MAX_CALLS = 10_000  # that wait to be stored
MAX_BYTES = 64 * 1024 * 1024
_RETRY = 1.0  # seconds before another try if the database is unavailable
_BATCH = 500  # calls of one transaction
_WARN = 60.0  # seconds between two warnings of calls that are not recorded

_FULL = "Later calls are not recorded."

# Key of the environment of a request by which the web server asks whether a client may send a
# large body; 204 accepts it, and is no response to the client.
_QUESTION = "connect_sim.body"
_TEXTUAL = ("text/", "application/x-www-form-urlencoded")

GetResponse = Callable[[HttpRequest], HttpResponse]


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
        self._guard = threading.Lock()
        self._storing = threading.RLock()
        self._warned_at = float("-inf")
        # Set while there are calls to store.
        self.arrived = threading.Event()

    def add(self, call: RecordedCall) -> None:
        """Record a call, unless too many wait to be stored."""
        with self._guard:
            if not self._fits(call):
                self._warn(_FULL)
                return
            self._calls.append(call)
            self._bytes += call.size
        if not self.arrived.is_set():
            self.arrived.set()

    def flush(self) -> bool:
        """Store what is recorded, and wait for a flush of another thread; raises no Exception.

        Inside a transaction it doesn't wait: on SQLite the other thread waits for the transaction.
        If the transaction is rolled back, the calls are stored by a later flush. Return whether
        everything is stored; after an error of the database the rest is kept.
        """
        if not self._storing.acquire(blocking=not connection.in_atomic_block):
            return False
        try:
            while batch := self._take():
                if rest := self._store_batch(batch):
                    self.put_back(rest)
                    return False
            return True
        finally:
            self._storing.release()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Store what is recorded, and keep what is recorded from then on until the block ends."""
        with self._storing:
            self.flush()
            yield

    def clear(self) -> None:
        """Forget what is recorded."""
        with self._guard:
            self._calls.clear()
            self._bytes = 0
            self.arrived.clear()

    def __len__(self) -> int:
        return len(self._calls)

    def _fits(self, call: RecordedCall) -> bool:
        return len(self._calls) < MAX_CALLS and self._bytes + call.size <= MAX_BYTES

    def _take(self) -> list[RecordedCall]:
        with self._guard:
            batch = [self._calls.popleft() for _ in range(min(_BATCH, len(self._calls)))]
            self._bytes -= sum(call.size for call in batch)
            if not self._calls:
                self.arrived.clear()
            return batch

    def put_back(self, batch: Sequence[RecordedCall]) -> None:
        """Record calls again that could not be stored, before the others."""
        with self._guard:
            for call in reversed(batch):
                if not self._fits(call):
                    self._warn(_FULL)
                    break
                self._calls.appendleft(call)
                self._bytes += call.size
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
            if not connection.in_atomic_block:
                # Closes an unusable connection, so that the next query opens a new one.
                connection.close_if_unusable_or_obsolete()
            if database_errors.unavailable(error):
                self._warn(database_errors.summary(error))
                return batch
            if len(batch) == 1:
                [call] = batch
                logger.exception("The API call %s %s cannot be stored.", call.method, call.path)
                return []
            half = len(batch) // 2
            if rest := self._store_batch(batch[:half]):
                return [*rest, *batch[half:]]
            return self._store_batch(batch[half:])
        if connection.in_atomic_block:
            transaction.on_commit(_Uncommitted(self, batch))
        return []


class _Uncommitted:
    """Calls that were stored in a transaction of somebody else, as a callback of its commit.

    Django drops the callbacks of a transaction that is rolled back: the calls are then put back.
    """

    def __init__(self, recorder: Recorder, batch: Sequence[RecordedCall]) -> None:
        self._recorder, self._batch = recorder, batch

    def __call__(self) -> None:
        self._batch = ()

    def __del__(self) -> None:
        if self._batch:
            self._recorder.put_back(self._batch)


_recorder = Recorder()


def flush() -> None:
    """Store the recorded calls of this process: see `Recorder.flush`."""
    _recorder.flush()


paused = _recorder.paused
clear = _recorder.clear


# The middleware.


def record_api_calls(get_response: GetResponse) -> GetResponse:
    """Return a middleware that records the calls of `/public/v1` with an `Authorization` header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        environ = request.META
        if "HTTP_AUTHORIZATION" not in environ or not activity.is_api(environ["PATH_INFO"]):
            return get_response(request)
        started, began = time.time(), time.monotonic()
        sent, sent_note = _request_body(request)
        response = get_response(request)
        duration = (time.monotonic() - began) * 1000
        if environ.get(_QUESTION) is None or response.status_code != 204:
            _recorder.add(_recorded(request, response, sent, sent_note, started, duration))
        return response

    return middleware


def _recorded(
    request: HttpRequest,
    response: HttpResponse,
    sent: bytes,
    sent_note: str,
    started: float,
    duration: float,
) -> RecordedCall:
    environ, path = request.META, request.path
    returned, returned_note = _response_body(response)
    is_truncated = False
    if response.status_code < 400 and not call_storage.may_have_secrets(path):
        is_truncated = len(sent) > MAX_BODY or len(returned) > MAX_BODY
        sent, returned = sent[:MAX_BODY], returned[:MAX_BODY]
    user = request.__dict__.get("user")
    # A lazy user is the session's: the API has not authenticated the request.
    caller = None if isinstance(user, SimpleLazyObject) else user
    is_test = activity.is_test(environ.get("HTTP_X_SANDBOX_ACTOR", ""))
    return RecordedCall(
        started,
        duration,
        ApiCall.TEST if is_test else ApiCall.HANDLER,
        getattr(caller, "account_id", None),
        getattr(caller, "uid", None) or "",
        (request.method or "")[:10],
        path,
        environ.get("QUERY_STRING", ""),
        response.status_code,
        environ.get("HTTP_USER_AGENT", "")[:200],
        sent,
        returned,
        sent_note,
        returned_note,
        is_truncated,
    )


def _request_body(request: HttpRequest) -> tuple[bytes, str]:
    """Return a body that is text, or a description of another one, which is not read."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    length = int(declared) if declared.isdigit() else 0
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if not length:
        return b"", ""
    if kind.startswith("multipart/") or not _is_text(kind) or length > _max_parsed():
        return b"", _note(kind, length)
    # The parser reads the body completely too, and finds it here.
    return request.body, ""


def _max_parsed() -> int:
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0


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
            stopping.wait(PERIOD_ALONE if wakeup.is_broker_in_memory() else PERIOD)
            if not _recorder.flush() and not stopping.is_set():
                stopping.wait(_RETRY)
        _recorder.flush()
    finally:
        connection.close()
