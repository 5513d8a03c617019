"""Django's WSGI application as an ASGI application, in two pools of threads.

An adapter of our own, because a2wsgi takes a thread while the body is still on its way and while
the client takes the response, takes a lost connection for the end of the body, fails for queries
that are not ASCII, and needs three steps between threads for each response, not one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connections

from connect_sim.server import environ, refusals
from connect_sim.server.bodies import Body, Disconnected, NotAllowed, Receive, TooLarge
from connect_sim.server.fair_threads import FairThreads, is_sign_in
from connect_sim.server.response import Failed, Response, Send
from connect_sim.server.threads import ThreadPool

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]

# Set in the environment of a request whose body was not received (see connect_sim.api.bodies):
# refuse it as too large, or say by 204 that a large body may be sent.
BODY = "connect_sim.body"
TOO_LARGE, MAY_BE_LARGE = "too large", "may be large"


def waits(path: str) -> bool:
    """Return whether a request of this path may wait for a validator."""
    return path.startswith("/forms/") or path.rstrip("/").endswith("/validate")


class DjangoApplication:
    """Django in `threads` threads, SIM_VALIDATIONS for validations, one for sign-in attempts."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        self._wsgi = wsgi
        self._ordinary = ThreadPool(threads, "web")
        self._waiting = ThreadPool(settings.SIM_VALIDATIONS, "waits-for-validator")
        self._sign_ins = FairThreads()

    def stop(self) -> None:
        """End the threads as they become idle."""
        self._ordinary.stop()
        self._waiting.stop()
        self._sign_ins.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the body, run Django, and send what it returns."""
        body = Body(scope)
        try:
            await body.receive(receive, lambda: self._may_be_large(scope, send, body))
            await self._run(scope, body, send)
        except TooLarge:
            await self._run(scope, body, send, TOO_LARGE)
        except (NotAllowed, Disconnected):
            pass
        except OSError:
            logger.exception("A request body could not be stored.")
            text = "The server can't store the request body. Try again later."
            await _send_error(scope, send, 503, "SYS_503", text)
        finally:
            body.close()

    async def _may_be_large(self, scope: Scope, send: Send, body: Body) -> bool:
        """Return whether the sender may send a large body; otherwise send the refusal."""
        return await self._run(scope, body, send, MAY_BE_LARGE)

    async def _run(self, scope: Scope, body: Body, send: Send, question: str = "") -> bool:
        """Run Django and send its response, unless it is the yes to a question."""
        empty = Body({"headers": []}) if question else body
        request = environ.build(scope, empty.file, empty.size)
        if question:
            request[BODY] = question
        response = Response(asyncio.get_running_loop(), close=body.expects_continue)
        waiting = not question and waits(scope["path"])
        work = partial(response.run, self._wsgi, request)
        if not question and is_sign_in(scope["method"], scope["path"]):
            address = (scope.get("client") or ("",))[0]
            if not self._sign_ins.submit(address, partial(_then_disconnect, work)):
                text = "Too many tries to sign in from this address. Try again in a minute."
                await _send_error(scope, send, 429, "SYS_429", text)
                return False
        elif waiting:
            self._waiting.submit(partial(_then_disconnect, work))
        else:
            self._ordinary.submit(work)
        try:
            if question == MAY_BE_LARGE and await response.status() == 204:
                return True
            await response.send_to(send)
        except Failed:
            if not response.started:
                text = "The server failed in an unexpected way; its log says more."
                await _send_error(scope, send, 500, "SYS_001", text)
        except asyncio.CancelledError:
            if not response.started:
                text = "The server is stopping. What became of the request is unknown."
                await _send_error(scope, send, 503, "SYS_503", text)
        finally:
            response.abandon()
        return False


def _then_disconnect(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        # A thread of this pool may be idle for hours, and PostgreSQL counts its connections.
        connections.close_all()


async def _send_error(scope: Scope, send: Send, status: int, code: str, text: str) -> None:
    content_type, content = refusals.body(scope["path"], code, text)
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
