"""Record every API call made with an API key, off the thread of its request.

The first transaction of a request that changes what others react to writes the call's entry in
the timeline, without its response: so it is committed before anything that comes of it. At the end
the middleware gives what it knows to a recorder in memory (`call_recorder`). `flush` stores it
(`call_storage`): in a thread of the web server's process from time to time, and before anything
reads API calls, the timeline, or whether the sandbox is settled. In one process also before the
next request that may change something.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from requests_queue import clock
from requests_queue.operations import QUESTION, WAITED
from sandbox import activity, call_storage, notification, timeline
from sandbox.call_recorder import Recorder
from sandbox.call_storage import MAX_BODY, RecordedCall
from sandbox.models import ApiCall
from webhooks.delivery import wakeup

PERIOD = 0.25  # seconds in which the thread collects calls for one store
SHORTEST = 0.05  # the same if there are other processes, and no call of a handler is in flight
_RETRY = 1.0  # seconds before another try if the database is unavailable

# Key of the environment of a request: the faults that fired, as they are stored.
FAULTS = "sandbox.faults"
_MAX_AGENT = 2000  # characters of the client's name that are searched for secrets
_SAFE = ("GET", "HEAD", "OPTIONS")
_TEXTUAL = ("text/", "application/x-www-form-urlencoded")

GetResponse = Callable[[HttpRequest], HttpResponse]

_recorder = Recorder()


def flush() -> None:
    """Store the recorded calls of this process: see `Recorder.flush`."""
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
                notification.announce()
        return response

    return middleware


def store_start() -> None:
    """Write the start of the call that this thread serves, if any, unless that is committed.

    Call it in the transaction of a change, before it. Several changes of one transaction write it
    several times, of which `call_storage` keeps one.
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
    real_at = datetime.fromtimestamp(start.started, UTC)
    pk = timeline.open_call(clock.now(), real_at, data)
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
