"""Responses: of a WSGI application, from its thread to the event loop, and the server's errors."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from connect_sim.server.paths import is_api

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

# Bytes of a response that are buffered before its thread waits for the client.
MAX_UNSENT = 4 * 1024 * 1024
_WITHOUT_BODY = (204, 304)


class Failed(Exception):
    """The application raised an exception, which has been logged."""


class Abandoned(Exception):
    """The client no longer needs the response."""


class Response:
    """One response: `run` in a thread, `send_to` in the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        close: bool = False,
        is_deferred: Callable[[], bool] = lambda: False,
    ) -> None:
        self._loop = loop
        self._close = close
        self._is_deferred = is_deferred
        # Used in the thread.
        self._status, self._headers = 0, list[tuple[bytes, bytes]]()
        self._remaining: int | None = None
        self._begun = self._complete = False
        self._put_bytes = 0
        # Used in the event loop.
        self._queue: asyncio.Queue[list[Message] | None] = asyncio.Queue()
        self._first: list[Message] | None = None
        self._sent_bytes = 0
        self.started = False
        # Used in both.
        self._abandoned = False
        self._taken = threading.Event()

    # -- in the thread

    def run(self, application: Callable[..., Any], environ: dict[str, Any]) -> None:
        """Run a WSGI application, and hand its response over to the event loop."""
        try:
            chunks = application(environ, self._start_response)
            try:
                self._put_all(chunks)
            finally:
                if close := getattr(chunks, "close", None):
                    close()
        except Abandoned:
            pass
        except BaseException:
            # Without the query, which may contain secrets.
            path = environ["PATH_INFO"].encode("unicode_escape").decode()
            logger.exception("%s %s failed.", environ["REQUEST_METHOD"], path)
            if not self._complete:
                self._hand_over(None)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info and self._begun:
            raise exc_info[1]
        self._status = int(status[:3])
        self._headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in headers
            if not (self._status in _WITHOUT_BODY and name.lower() == "content-length")
        ]
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        self._remaining = 0 if self._status in _WITHOUT_BODY else next(iter(lengths), None)
        return self._put

    def _put_all(self, chunks: Any) -> None:
        if self._remaining is None and isinstance(chunks, list) and len(chunks) == 1:
            self._remaining = len(chunks[0])
            self._headers.append((b"content-length", str(self._remaining).encode()))
        for chunk in chunks:
            if chunk:
                self._put(chunk)
        if not self._complete:
            self._put(b"", last=True)

    def _put(self, chunk: bytes, last: bool = False) -> None:
        if self._complete:
            return
        if self._remaining is not None:
            chunk = chunk[: self._remaining]
            self._remaining -= len(chunk)
            # Hand the last chunk over together with the end of the body.
            last = last or self._remaining == 0
        messages: list[Message] = []
        if not self._begun:
            self._begun = True
            headers = [*self._headers, (b"connection", b"close")] if self._close else self._headers
            messages.append(
                {"type": "http.response.start", "status": self._status, "headers": headers}
            )
        messages.append({"type": "http.response.body", "body": chunk, "more_body": not last})
        self._complete = last
        self._put_bytes += len(chunk)
        self._hand_over(messages)
        # A deferred response is buffered as a whole, so that its thread is free.
        is_limited = not last and not self._is_deferred()
        while is_limited and self._put_bytes - self._sent_bytes > MAX_UNSENT:
            self._taken.wait()
            self._taken.clear()
            if self._abandoned:
                raise Abandoned

    def _hand_over(self, messages: list[Message] | None) -> None:
        if self._abandoned:
            raise Abandoned
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, messages)
        except RuntimeError:
            # The loop is closed: the server has stopped.
            raise Abandoned from None

    # -- in the event loop

    async def start(self) -> Message:
        """Wait for the start of the response, and return its message; raises Failed."""
        self._first = await self._queue.get()
        if self._first is None:
            raise Failed
        return self._first[0]

    def replace(self, status: int, content_type: str, body: bytes) -> None:
        """Send this in place of the application's response, with its other headers.

        Call after `start`, and before `send_to`.
        """
        assert self._first is not None
        start = self._first[0]
        headers = [
            (name, value)
            for name, value in start["headers"]
            if name.lower() not in (b"content-type", b"content-length")
        ]
        headers.append((b"content-type", content_type.encode("latin-1")))
        headers.append((b"content-length", str(len(body)).encode()))
        self._first = [
            {**start, "status": status, "headers": headers},
            {"type": "http.response.body", "body": body, "more_body": False},
        ]

    async def send_to(self, send: Send) -> None:
        """Send the response; raises Failed."""
        while True:
            messages, self._first = self._first or await self._queue.get(), None
            if messages is None:
                raise Failed
            self.started = True
            for message in messages:
                await send(message)
            self._sent_bytes += len(messages[-1]["body"])
            self._taken.set()
            if not messages[-1]["more_body"]:
                return

    async def send_stream(self, send: Send, pieces: AsyncIterator[bytes]) -> None:
        """Send the status and headers of the application's response, and then the pieces.

        Call after `start`.
        """
        assert self._first is not None
        self.started = True
        start = self._first[0]
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        await send({**start, "headers": headers})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def abandon(self) -> None:
        """Let the thread end at its next chunk."""
        self._abandoned = True
        self._taken.set()


def error_body(path: str, code: str, text: str) -> tuple[bytes, bytes]:
    """Return content type and body of an error: Connect's envelope for an API, or plain text."""
    if is_api(path):
        return b"application/json", json.dumps({"error_code": code, "errors": [text]}).encode()
    return b"text/plain; charset=utf-8", text.encode()
