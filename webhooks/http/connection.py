"""Connections to handlers: aiohttp's connection and connector, with checks of our own.

A connection knows whether it was used before and whether a byte of the response has arrived,
which retries and error messages need, and limits what aiohttp would read without end.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.client_proto import ResponseHandler

from webhooks.http.errors import (
    MAX_HEAD,
    MAX_INTERIM,
    BodyBroken,
    HeadTooLarge,
    Progress,
    TooManyInterim,
)

_END_OF_HEAD = re.compile(rb"\n\r?\n")


# aiohttp creates connections itself and passes no arguments: the request sets its progress here.
current: ContextVar[Progress] = ContextVar("current")


class Connection(ResponseHandler):
    """A connection that measures progress; one request at a time, many in its lifetime."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._progress = Progress()
        self._served = False
        self._tail_of_head = b""
        self._body: Any = None

    def set_response_params(self, **params: Any) -> None:
        """Begin a request: aiohttp calls this first."""
        progress = current.get(self._progress)
        progress.reused = self._served
        progress.start, progress.interim, progress.head = b"", 0, 0
        progress.answered = False
        if progress.on_sent is not None:
            progress.on_sent()
            progress.on_sent = None
        self._progress, self._served = progress, True
        self._tail_of_head, self._body = b"", None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Process received bytes: one head at a time, then the body."""
        if not self._served or not data:
            super().data_received(data)
            return
        progress = self._progress
        if self._is_complete():
            # Unsolicited bytes would be taken for the response to the next request.
            self.abort()
            return
        progress.start = (progress.start + data[:8])[:8]
        while data and not progress.answered and self._exception is None:
            data = self._take_head(data)
        if data and self._exception is None:
            if self._is_complete():
                # More bytes after a response without a body.
                self.force_close()
            else:
                super().data_received(data)
        self._break_body()

    def _take_head(self, data: bytes) -> bytes:
        """Feed the parser up to the end of one head, and return the rest.

        Together with what follows, a complete response would be lost if garbage comes after it,
        and a flood of interim responses would be parsed before it is counted.
        """
        tail = self._tail_of_head
        match = _END_OF_HEAD.search(tail + data)
        cut = match.end() - len(tail) if match else len(data)
        piece, rest = data[:cut], data[cut:]
        self._tail_of_head = b"" if match else (tail + piece)[-2:]
        self._progress.head += len(piece)
        super().data_received(piece)
        if not self._progress.answered and self._progress.head > MAX_HEAD:
            self._fail(HeadTooLarge())
        return rest

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Process a parsed head; interim ones are counted and dropped."""
        message, body = data
        if 100 <= message.code < 200 and message.code != 101:
            self._progress.interim += 1
            if self._progress.interim > MAX_INTERIM:
                self._fail(TooManyInterim())
            return
        self._progress.answered, self._body = True, body
        super().feed_data(data, size)

    @property
    def should_close(self) -> bool:
        """Whether it can't be used again: the handler may respond before it has read all."""
        transport = self.transport
        is_sent = transport is None or not transport.get_write_buffer_size()
        return super().should_close or not is_sent

    def close(self) -> None:
        """Close the connection, gracefully only after a complete request and response."""
        transport = self.transport
        if transport is not None and (not self._is_complete() or transport.get_write_buffer_size()):
            # Abort: a graceful close could hang on an unresponsive peer.
            self.abort()
        else:
            super().close()

    def _is_complete(self) -> bool:
        return self._progress.answered and (self._body is None or self._body.is_eof())

    def _fail(self, exc: Exception) -> None:
        self.set_exception(exc)
        if self.transport is not None:
            self.transport.abort()

    def _break_body(self) -> None:
        """Raise an error of the body in its reader: aiohttp sets it on the connection only."""
        body = self._body
        if self._exception is None or body is None or body.is_eof():
            return
        if body.exception() is None:
            body.set_exception(BodyBroken())


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with our connections and sockets whose address is checked."""

    def __init__(self, open_socket: Callable[[AddrInfoType], socket.socket], **kwargs: Any) -> None:
        super().__init__(limit=0, use_dns_cache=False, socket_factory=open_socket, **kwargs)
        self._factory = cast(
            "functools.partial[ResponseHandler]",
            functools.partial(Connection, loop=self._loop),
        )
