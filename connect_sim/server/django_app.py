"""ASGI adapter for Django's WSGI application, which runs in thread pools.

Our own, because a2wsgi occupies a thread while the body is received and while the client reads the
response, treats a lost connection as the end of the body, fails for queries that are not ASCII, and
needs three thread switches per response instead of one.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache, partial
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import connections

from connect_sim.server import Message, Receive, Scope, Send, deferred, subrequests, transmission
from connect_sim.server.bodies import Body, NotStored, TooLarge, TooSlow
from connect_sim.server.deferred import Client, ClientLeft, Deferral, Stopping
from connect_sim.server.response import Failed, Response, Wsgi, error
from connect_sim.server.thread_pools import FairThreadPool, ThreadPool, is_sign_in
from connect_sim.server.transmission import Transmission
from requests_queue.operations import QUESTION, WAITED

logger = logging.getLogger(__name__)


# What is asked by QUESTION.
TOO_LARGE, MAY_BE_LARGE, MAY_WAIT = "too large", "may be large", "may wait"
# Header of a 204 to MAY_WAIT: what the request waits for has not ended, so ask again.
NOT_YET = "X-Not-Yet"

# Published clients submit a usage file right after its upload, so a submit waits until the file has
# been read.
SUBMIT_WAITS = 10.0  # seconds, about: the limit is checked between two questions
MAX_SUBMITS = 50  # waits at a time; further submits run at once
SUBMIT = re.compile("/usage/files/([^/]+)/submit$")

# Seconds for a client to receive 64 KiB of a response, before the connection is closed.
STALLED = 60.0
_ASKING = 2  # threads that ask whether clients may wait for a validator
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 0.5  # seconds between two questions of a submit
_UNPREFIXED = ("CONTENT_LENGTH", "CONTENT_TYPE")


class Refused(Exception):
    """Django has refused a question; the argument is its response."""


class TooManySignIns(Exception):
    """The address has too many sign-in attempts."""


# The response to a request that one of these exceptions ends: status, code and text.
_STOPPING = (503, "SYS_503", "The server is stopping. The outcome of the request is unknown.")
_ERRORS: dict[type[BaseException], tuple[int, str, str]] = {
    TooManySignIns: (
        429,
        "SYS_429",
        "Too many sign-in attempts from this address. Try again in a minute.",
    ),
    ClientLeft: (
        400,
        "REQ_400",
        "The connection was closed while the request waited. Keep it open to wait.",
    ),
    Stopping: _STOPPING,
    asyncio.CancelledError: _STOPPING,
    TooSlow: (408, "REQ_408", "The request was not complete in time."),
    NotStored: (503, "SYS_503", "The server cannot store the request body. Try again later."),
    Exception: (500, "SYS_001", "Unexpected server error. See the server's log."),
}


class DjangoApplication:
    """Django in `threads` threads, and others for requests that wait and for sign-ins."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        self._wsgi = wsgi
        self._ordinary = ThreadPool(threads, "web")
        self._validations = ThreadPool(settings.SIM_VALIDATIONS, "waits-for-validator")
        # Neither clients that may not wait, nor slow requests of the API, delay a validation.
        self._may_wait = ThreadPool(_ASKING, "asks-for-validation")
        self._sign_ins = FairThreadPool()
        self._stopping = asyncio.Event()
        self._submits = 0

    def end_waits(self) -> None:
        """Answer requests whose response is deferred by 503; called in the event loop."""
        self._stopping.set()

    def stop(self) -> None:
        """End the threads as they become idle."""
        for pool in (self._ordinary, self._validations, self._may_wait, self._sign_ins):
            pool.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the body, run Django, and send the response."""
        client = Client(scope, receive, self._stopping)
        send = partial(_send_in_time, send, client)
        body, deferral, manner = Body(scope), Deferral(), Transmission()
        environ = {deferred.KEY: deferral, transmission.KEY: manner}
        try:
            response = await self._respond(scope, receive, client, body, environ)
        except Refused as refused:
            response = refused.args[0]
        except (Exception, asyncio.CancelledError) as ended:
            kind = next(kind for kind in _ERRORS if isinstance(ended, kind))
            if kind in (NotStored, Exception) and not isinstance(ended, Failed):
                logger.exception("A request could not be served.")
            if client.connection.transport.is_closing():
                manner.cancel()
                return
            response = error(scope["path"], *_ERRORS[kind])
            deferral.stream = None
        finally:
            body.file.close()
            if deferral.future is not None:
                deferral.future.cancel()
        if body.expects_continue:
            response.set_header(b"connection", b"close")
        try:
            with suppress(ClientLeft, asyncio.CancelledError):
                if deferral.stream is None:
                    await manner.send(response, send, client, scope["method"])
                else:
                    await _send_stream(response, deferral.stream, send, client)
        finally:
            manner.cancel()
            response.body.close()

    async def _respond(
        self,
        scope: Scope,
        receive: Receive,
        client: Client,
        body: Body,
        environ: dict[str, Any],
    ) -> Response:
        """Receive the body, and run Django; raises Refused, or a key of _ERRORS."""
        try:
            await body.receive(receive, partial(self._ask, scope, MAY_BE_LARGE))
        except TooLarge:
            await self._ask(scope, TOO_LARGE)
        # The threads of validations are for clients that may wait, so others are refused first.
        if may_wait(scope["method"], scope["path"]):
            environ[WAITED] = await self._ask_to_wait(scope, client)
        deferral: Deferral = environ[deferred.KEY]
        manner: Transmission = environ[transmission.KEY]
        response, result = await self._run(scope, body.file, body.size, environ), None
        while (later := await manner.begin_later(client)) is not None:
            body.file.seek(0)
            response = await self._run(scope, body.file, body.size, environ | later)
        if deferral.future is not None:
            future = asyncio.wrap_future(deferral.future)
            result = await client.wait(future, needs_client=deferral.needs_client)
        elif deferral.work is not None:
            result = await client.wait(deferral.work(subrequests.sender(scope)))
        return response if result is None else response.replaced(*result)

    async def _ask(self, scope: Scope, question: str) -> bool:
        """Ask Django before the request is run; return whether it may be now, or raise Refused."""
        response = await self._run(scope, io.BytesIO(), 0, {QUESTION: question})
        if response.status != 204:
            raise Refused(response)
        return not any(name == NOT_YET.encode() for name, _ in response.headers)

    async def _ask_to_wait(self, scope: Scope, client: Client) -> float:
        """Wait, without a thread, while Django says NOT_YET; return the seconds waited."""
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), _FIRST_PAUSE
        if await self._ask(scope, MAY_WAIT) or self._submits >= MAX_SUBMITS:
            return 0.0
        self._submits += 1
        try:
            while loop.time() < began + SUBMIT_WAITS:
                await client.wait(asyncio.sleep(pause), needs_client=False)
                if await self._ask(scope, MAY_WAIT):
                    break
                pause = min(2 * pause, _LAST_PAUSE)
        finally:
            self._submits -= 1
        return loop.time() - began

    async def _run(
        self, scope: Scope, body: IO[bytes], size: int, more: dict[str, Any]
    ) -> Response:
        """Run Django in a thread of the pool that the path chooses."""
        response, done = Response(), Future[None]()
        environ = build_environ(scope, body, size) | more
        # The operation of the request, for log lines.
        context = contextvars.copy_context()

        def job() -> None:
            if done.set_running_or_notify_cancel():
                context.run(response.run, self._wsgi, environ)
                done.set_result(None)

        method, path, question = scope["method"], scope["path"], more.get(QUESTION)
        if question is None and is_sign_in(method, path):
            address = (scope.get("client") or ("",))[0]
            if not self._sign_ins.submit(address, partial(_then_disconnect, job)):
                raise TooManySignIns
        elif question in (None, MAY_WAIT) and is_validation(method, path):
            pool = self._may_wait if question else self._validations
            pool.submit(partial(_then_disconnect, job))
        else:
            self._ordinary.submit(job)
        await asyncio.wrap_future(done)
        if not response.status:
            raise Failed
        return response


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


def _then_disconnect(job: Callable[[], None]) -> None:
    try:
        job()
    finally:
        # A thread of these pools may be idle for hours, and PostgreSQL limits connections.
        connections.close_all()


async def _send_in_time(send: Send, client: Client, message: Message) -> None:
    """Send a message; raises ClientLeft."""
    try:
        async with asyncio.timeout(STALLED):
            await send(message)
    except TimeoutError:
        client.connection.abort()
    if client.connection.transport.is_closing():
        raise ClientLeft


async def _send_stream(
    response: Response, stream: AsyncGenerator[bytes], send: Send, client: Client
) -> None:
    """Send the status and headers of a response, and then the pieces of a stream."""

    async def send_pieces() -> None:
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    response.set_header(b"content-length", None)
    start = {"status": response.status, "headers": response.headers}
    try:
        await send({"type": "http.response.start", **start})
        with suppress(ClientLeft, Stopping):
            await client.wait(send_pieces())
    finally:
        await stream.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
