"""One connection to a handler: aiohttp's own, with an eye on what arrives before the answer does.

Made by `transport`. It knows what a retry and a sentence need to know (was the connection used
before, has a byte arrived), and it ends what aiohttp would take without end.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.client_proto import ResponseHandler

# A handler that says "wait" more often than this isn't going to answer.
MAX_INTERIM = 16
# All headers of an answer together, interim answers included.
MAX_HEAD = 65536

_END_OF_HEAD = re.compile(rb"\n\r?\n")


class TooManyInterim(aiohttp.ClientError):
    """More 1xx answers than MAX_INTERIM."""


class HeadTooLarge(aiohttp.ClientError):
    """More bytes before the body than MAX_HEAD."""


class BodyBroken(aiohttp.ClientPayloadError):
    """A body whose framing turned out to be wrong in the middle of it."""


@dataclass(slots=True)
class Progress:
    """How far one request has come on its connection."""

    reused: bool = False
    start: bytes = b""
    interim: int = 0
    head: int = 0
    answered: bool = False

    @property
    def unanswered_reuse(self) -> bool:
        """Whether the connection had served before, and died without a byte of an answer."""
        return self.reused and not self.start


# aiohttp builds connections itself and hands over nothing: the call leaves word of itself here.
current: ContextVar[Progress] = ContextVar("current")


class Connection(ResponseHandler):
    """A connection that counts; one request at a time, many in its life."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._progress = Progress()
        self._served = False
        self._tail_of_head = b""
        self._body: Any = None

    def set_response_params(self, **params: Any) -> None:
        """Begin a request; the first thing that aiohttp does with a connection."""
        progress = current.get(self._progress)
        progress.reused = self._served
        progress.start, progress.interim, progress.head = b"", 0, 0
        progress.answered = False
        self._progress, self._served = progress, True
        self._tail_of_head, self._body = b"", None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: the head one answer at a time, the body as it comes."""
        if not self._served or not data:
            super().data_received(data)
            return
        progress = self._progress
        if self._done():
            # Bytes that nobody asked for would be taken for the answer to the next request.
            self.abort()
            return
        progress.start = (progress.start + data[:8])[:8]
        while data and not progress.answered and self._exception is None:
            data = self._take_head(data)
        if data and self._exception is None:
            if self._done():
                # More of it, in the same breath as an answer without a body.
                self.force_close()
            else:
                super().data_received(data)
        self._break_body()

    def _take_head(self, data: bytes) -> bytes:
        """Feed up to the end of one head, return the rest.

        Fed in one piece with what follows, a complete answer would be lost if garbage came
        right after it, and a flood of interim answers would be parsed before it is counted.
        """
        seen = self._tail_of_head
        match = _END_OF_HEAD.search(seen + data)
        cut = match.end() - len(seen) if match else len(data)
        piece, rest = data[:cut], data[cut:]
        self._tail_of_head = b"" if match else (seen + piece)[-2:]
        self._progress.head += len(piece)
        super().data_received(piece)
        if not self._progress.answered and self._progress.head > MAX_HEAD:
            self._fail(HeadTooLarge())
        return rest

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a parsed head; interim ones are counted and dropped."""
        message, body = data
        if 100 <= message.code < 200 and message.code != 101:
            self._progress.interim += 1
            if self._progress.interim > MAX_INTERIM:
                self._fail(TooManyInterim())
            return
        self._progress.answered, self._body = True, body
        super().feed_data(data, size)

    def close(self) -> None:
        """Close; at once, unless all has been said on both sides."""
        transport = self.transport
        if transport is not None and (not self._done() or transport.get_write_buffer_size()):
            # A polite close would wait for a peer that doesn't read, or doesn't say good-bye.
            self.abort()
        else:
            super().close()

    def _done(self) -> bool:
        return self._progress.answered and (self._body is None or self._body.is_eof())

    def _fail(self, exc: Exception) -> None:
        self.set_exception(exc)
        if self.transport is not None:
            self.transport.abort()

    def _break_body(self) -> None:
        """Tell the reader of the body about an error in it: aiohttp tells only the connection."""
        body = self._body
        if self._exception is None or body is None or body.is_eof():
            return
        if body.exception() is None:
            body.set_exception(BodyBroken())


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, making our connections, through sockets that have been looked at."""

    def __init__(self, open_socket: Callable[[AddrInfoType], socket.socket], **kwargs: Any) -> None:
        super().__init__(limit=0, use_dns_cache=False, socket_factory=open_socket, **kwargs)
        self._factory = cast(
            "functools.partial[ResponseHandler]",
            functools.partial(Connection, loop=self._loop),
        )
