"""ASGI adapter for Django's WSGI application, which runs in thread pools.

Our own, because a2wsgi occupies a thread while the body is received and while the client reads the
response, treats a lost connection as the end of the body, fails for queries that are not ASCII, and
needs three thread switches per response instead of one.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import aclosing, suppress
from functools import lru_cache, partial
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from django.conf import settings
from django.db import connections

from connect_sim.server import deferred, transmission
from connect_sim.server.bodies import Body, Disconnected, NotAllowed, Receive, TooLarge
from connect_sim.server.deferred import ClientLeft, Deferral, DeferredResponses, Left, Stopping
from connect_sim.server.protocol import CONNECTION
from connect_sim.server.response import Failed, Response, Send, error_body
from connect_sim.server.thread_pools import FairThreadPool, ThreadPool, is_sign_in
from connect_sim.server.transmission import Reset, Transmission
from requests_queue import operations
from requests_queue.operations import Operation

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]

# Key of the environment of a request that has no body yet (see connect_sim.middleware): Django
# refuses it as too large, or returns 204 if the client may send a large body, or may wait for a
# validator or for the processing of a usage file.
QUESTION = "connect_sim.question"
TOO_LARGE, MAY_BE_LARGE, MAY_WAIT = "too large", "may be large", "may wait"
# Header of a 204 to MAY_WAIT: what the request waits for has not ended, so ask again.
NOT_YET = "X-Not-Yet"
# Key of the environment: for how many seconds the request has waited so.
WAITED = "connect_sim.waited"

# Published clients submit a usage file right after its upload: so many seconds a submit waits until
# the file has been read, and so many submits wait at once; the others run at once.
SUBMIT_WAITS = 10.0
MAX_SUBMITS = 50
SUBMIT = re.compile("/usage/files/([^/]+)/submit$")

# The server's own errors: status, code and text.
UNEXPECTED = (500, "SYS_001", "Unexpected server error. See the server's log.")
LEFT = (
    400, "REQ_400", "The connection was closed while the request waited. Keep it open to wait."
)  # fmt: skip
STOPPING = (503, "SYS_503", "The server is stopping. The outcome of the request is unknown.")
NOT_STORED = (503, "SYS_503", "The server cannot store the request body. Try again later.")
TOO_MANY = (
    429, "SYS_429", "Too many sign-in attempts from this address. Try again in a minute."
)  # fmt: skip

_FILE_BLOCK = 64 * 1024
_ASKING = 2  # threads that ask whether clients may wait
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 0.5  # seconds between two questions of a submit
_UNPREFIXED = ("CONTENT_LENGTH", "CONTENT_TYPE")


class DjangoApplication:
    """Django in `threads` threads, and others for requests that wait and for sign-ins."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        self._wsgi = wsgi
        self._ordinary = ThreadPool(threads, "web")
        self._validations = ThreadPool(settings.SIM_VALIDATIONS, "waits-for-validator")
        # Whether a client may wait is asked here: neither those that may not, nor slow requests of
        # the API, delay a validation.
        self._may_wait = ThreadPool(_ASKING, "asks-for-validation")
        self._sign_ins = FairThreadPool()
        self._deferred = DeferredResponses()
        self._submits = 0

    def end_waits(self) -> None:
        """Answer requests whose response is deferred by 503; called in the event loop."""
        self._deferred.stop()

    def stop(self) -> None:
        """End the threads as they become idle."""
        self._ordinary.stop()
        self._validations.stop()
        self._may_wait.stop()
        self._sign_ins.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the body, run Django, and send the response."""
        body = Body(scope)
        try:
            await body.receive(receive, lambda: self._run(scope, body, receive, send, MAY_BE_LARGE))
            waited = 0.0
            # The threads of validations are for clients that may wait, so others are refused first.
            if may_wait(scope["method"], scope["path"]):
                waited = await self._ask_to_wait(scope, body, receive, send)
            await self._run(scope, body, receive, send, waited=waited)
        except Stopping:
            await _send_error(scope, send, *STOPPING)
        except TooLarge:
            with suppress(NotAllowed):
                await self._run(scope, body, receive, send, TOO_LARGE)
        except (NotAllowed, Disconnected, ClientLeft):
            pass
        except OSError:
            logger.exception("A request body could not be stored.")
            await _send_error(scope, send, *NOT_STORED)
        finally:
            body.close()

    async def _ask_to_wait(self, scope: Scope, body: Body, receive: Receive, send: Send) -> float:
        """Return for how many seconds a request that may wait has done so, without a thread.

        It is run afterwards; raises NotAllowed, ClientLeft, Stopping.
        """
        ask = partial(self._run, scope, body, receive, send, MAY_WAIT)
        left = partial(deferred.left, scope, receive, only_fully=True)
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE
        if await ask() or self._submits >= MAX_SUBMITS:
            return 0.0
        began = loop.time()
        self._submits += 1
        try:
            while loop.time() < began + SUBMIT_WAITS:
                await self._deferred.sleep(pause, left)
                if await ask():
                    break
                pause = min(2 * pause, _LAST_PAUSE)
        finally:
            self._submits -= 1
        return loop.time() - began

    async def _run(
        self,
        scope: Scope,
        body: Body,
        receive: Receive,
        send: Send,
        question: str = "",
        waited: float = 0.0,
    ) -> bool:
        """Run Django and send its response.

        With a question nothing is sent if the answer is yes: return whether the request may be run
        now. Raises NotAllowed after a refusal.
        """
        empty = Body({"headers": []}) if question else body
        environ = build_environ(scope, empty.file, empty.size)
        deferral, manner = Deferral(), Transmission()
        if question:
            environ[QUESTION] = question
        else:
            environ[deferred.KEY], environ[transmission.KEY] = deferral, manner
            environ[WAITED] = waited
        response = Response(
            asyncio.get_running_loop(),
            close=body.expects_continue,
            is_deferred=lambda: deferral.future is not None or manner.is_slow,
        )
        if not self._submit(scope, partial(response.run, self._wsgi, environ), question):
            await _send_error(scope, send, *TOO_MANY)
            return False
        try:
            start = await response.start()
            if start["status"] == 204 and question:
                return NOT_YET.encode() not in dict(start["headers"])
            left = partial(deferred.left, scope, receive)
            if deferral.future is not None:
                left_wait = partial(left, only_fully=not deferral.needs_client)
                result = await self._deferred.wait(deferral.future, left_wait)
                if result is not None:
                    response.replace(*result)
            if deferral.stream is None:
                await self._transmit(response, manner, scope, left, send)
            else:
                async with aclosing(self._deferred.pieces(deferral.stream, left)) as pieces:
                    await response.send_stream(send, pieces)
        except Failed:
            if not response.started:
                await _send_error(scope, send, *UNEXPECTED)
        except ClientLeft:
            # It may have closed only its side of the connection, and still receive.
            await _send_error(scope, send, *LEFT)
        except (asyncio.CancelledError, Stopping):
            if not response.started:
                await _send_error(scope, send, *STOPPING)
        finally:
            deferral.cancel()
            manner.cancel()
            response.abandon()
        if question:
            raise NotAllowed
        return False

    async def _transmit(
        self, response: Response, manner: Transmission, scope: Scope, left: Left, send: Send
    ) -> None:
        """Send a response in the manner that Django has chosen; raises Failed."""
        # The work is done, so a client that still receives gets its result.
        with suppress(ClientLeft):
            for future, timeout in manner.waits:
                await self._deferred.delay(future, left, timeout)
        try:
            if manner.is_reset:
                raise Reset
            pause = partial(self._deferred.pause, left=left)
            await response.send_to(manner.wrap(send, scope["method"], pause))
        except Reset:
            await transmission.reset(scope["extensions"][CONNECTION])

    def _submit(self, scope: Scope, job: Callable[[], None], question: str) -> bool:
        """Submit a request to its thread pool; return False if the address has too many."""
        operation = operations.current()
        if operation is not None:
            job = partial(_run_job, operation, job)
        if not question and is_sign_in(scope["method"], scope["path"]):
            address = (scope.get("client") or ("",))[0]
            return self._sign_ins.submit(address, partial(_then_disconnect, job))
        if question in ("", MAY_WAIT) and is_validation(scope["method"], scope["path"]):
            pool = self._may_wait if question else self._validations
            pool.submit(partial(_then_disconnect, job))
        else:
            self._ordinary.submit(job)
        return True


def is_validation(method: str, path: str) -> bool:
    """Return whether a request may wait for a validator, in a thread of its own."""
    return method == "POST" and (
        path.startswith("/forms/") or path.rstrip("/").endswith("/validate")
    )


def may_wait(method: str, path: str) -> bool:
    """Return whether a request may wait for a validator, or for the processing of a usage file."""
    return is_validation(method, path) or (
        method in ("POST", "PUT") and SUBMIT.search(path) is not None
    )


def build_environ(scope: Scope, body: IO[bytes], length: int) -> dict[str, Any]:
    """Return the WSGI environment of a request whose body has `length` bytes.

    Unlike a2wsgi's it accepts queries that are not ASCII and paths that are not UTF-8, and leaves
    out headers with an underscore in their name, which could imitate a proxy's header.
    """
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        # Only for requests without a Host header, which Django refuses.
        "SERVER_NAME": "no-host-header.invalid",
        "SERVER_PORT": str((scope.get("server") or ("", 0))[1] or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _file_wrapper,
        "asgi.scope": scope,
    }
    for name, value in scope["headers"]:
        key = _environ_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    # A chunked body has no declared length.
    if length or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


@lru_cache(maxsize=1024)
def _environ_key(name: bytes) -> str | None:
    if b"_" in name or name == b"transfer-encoding":
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"


def _file_wrapper(file: Any, block: int) -> FileWrapper:
    """Read a file in blocks larger than Django's 4 KiB: each block is a thread switch."""
    return FileWrapper(file, max(block, _FILE_BLOCK))


def _run_job(operation: Operation, job: Callable[[], None]) -> None:
    """Run a job in a thread as part of the operation."""
    with operations.working_on(operation):
        job()


def _then_disconnect(job: Callable[[], None]) -> None:
    try:
        job()
    finally:
        # A thread of these pools may be idle for hours, and PostgreSQL limits connections.
        connections.close_all()


async def _send_error(scope: Scope, send: Send, status: int, code: str, text: str) -> None:
    content_type, content = error_body(scope["path"], code, text)
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
