"""uvicorn's HTTP/1.1 protocol, which collects each head before it is parsed.

So size, duration, method and target of a head are checked in one place. The parser gets a head
without what it would refuse: targets that are not ASCII, unknown methods, and offers of HTTP/2.
`tests/runtime/test_private_parts.py` names the private parts of uvicorn that it uses.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPMethod
from typing import Any, cast

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from connect_sim.server import Scope, paths
from connect_sim.server.response import error_parts

MAX_HEAD = 256 * 1024  # bytes of the request line and all headers
MAX_PIPELINE = 100  # requests of a connection that wait for the response to an earlier one
CONNECTION = "connect_sim.connection"  # key of the scope's extensions

_END = re.compile(rb"\r?\n\r?\n")
# Two expressions, neither of which can backtrack far: method, target, version; path, query.
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ \r\n]+) HTTP/1\.([01])\r?\n")
_TARGET = re.compile(rb"(?:https?://[^/?#]*)?([^?#]*)\??([^#]*)", re.IGNORECASE)
# Java's clients offer HTTP/2, and send the body of the request behind the offer.
_UPGRADE = re.compile(rb"^upgrade:.*\n", re.IGNORECASE | re.MULTILINE)
# The only path of websockets, and what asks for one.
_WEBSOCKETS = b"/public/v1/devops/ws/"
_WEBSOCKET = re.compile(rb"^upgrade:[ \t]*websocket[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
# Where a chunked body may end, also if the end is in two packets.
_LAST_CHUNK = re.compile(rb"\A\n?\r?\n|\r\n\r\n")
_INVALID = "The request is not valid HTTP."
# The last fields of the head of an error.
_FIELDS = b"content-length: %d\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One client's connection; `scope["extensions"][CONNECTION]` of its requests."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access_log = False  # A query may contain a secret, and bytes that uvicorn can't log.
        self.is_half_closed = False  # by the client, which may still wait for a response
        self._ended = False  # Further data is ignored.
        self._head = bytearray()
        self._rest = 0  # bytes of the body that have not arrived; -1 if it is chunked
        self._target: dict[str, Any] = {}  # the scope's values of the latest head's target
        self._running = self.cycle  # The request that is served; `cycle` may still be pipelined.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head in time."""
        super().connection_made(transport)
        self._end_after(settings.SIM_HEAD_TIMEOUT, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the disconnection to the running request; uvicorn reports it to the latest."""
        self.abort()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close immediately, without the rest of a response."""
        self._ended = True
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Split the data into heads and bodies."""
        rest = memoryview(data)
        while rest and not self._ended:
            rest = self._receive_body(rest) if self._rest else self._receive_head(bytes(rest))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for responses, if a client that sends no more waits for some."""
        self.is_half_closed = True
        if self._is_complete and not self._head:
            return False
        if self._head or self._rest:
            self._refuse(400, "The connection was closed before the request was complete.")
        else:
            self._ended, self.cycle.keep_alive = True, False
        if self._running is not None:
            self._running.message_event.set()
        return True

    def on_headers_complete(self) -> None:
        """Note how long the body is, and give Django the target as it was sent."""
        super().on_headers_complete()
        cast(Scope, self.scope).update(self._target, extensions={CONNECTION: self})
        fields = dict(self.headers)
        self._rest = -1 if b"transfer-encoding" in fields else int(fields.get(b"content-length", 0))

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._rest, self._target = 0, {}
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Do not wait forever for a client that does not read, or does not end its next head."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_after(self.timeout_keep_alive, self.transport.abort)
        elif self._head:
            self._end_after(settings.SIM_HEAD_TIMEOUT, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that waits for its client, with 408 within a head."""
        if self._head:
            self._refuse(408, "The request was not complete in time.")
        else:
            self.transport.abort()

    @property
    def _is_complete(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _end_after(self, seconds: float, end: Callable[[], None]) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, end)

    def _receive_body(self, data: memoryview) -> memoryview:
        """Parse data of a body; return what may be behind it."""
        size = min(self._rest, len(data))
        if size < 0:
            end = _LAST_CHUNK.search(data)
            size = end.end() if end else len(data)
        else:
            self._rest -= size
        self._parse(data[:size])
        return data[size:]

    def _receive_head(self, data: bytes) -> memoryview:
        """Collect data of a head, and parse it when it is complete; return what is behind it."""
        known = len(self._head)
        # A request may be preceded by empty lines.
        self._head += data if known else data.lstrip(b"\r\n")
        end = _END.search(self._head, max(0, known - 3))
        size = end.end() if end else len(self._head)
        rest = memoryview(bytes(self._head[size:]))
        if size > MAX_HEAD:
            self._refuse(431, f"The request head is larger than {MAX_HEAD // 1024} KiB.")
        elif end:
            self._unset_keepalive_if_required()
            self._parse_head(bytes(self._head[:size]))
            self._head.clear()
        elif self._head and not 32 < self._head[0] < 127:
            self._refuse(400, _INVALID)  # TLS, for instance, whose client waits for an answer
        elif self._head and not known:
            self._end_after(settings.SIM_HEAD_TIMEOUT, self.timeout_keep_alive_handler)
        return rest

    def _parse_head(self, head: bytes) -> None:
        raw = head
        method, self._target, head = _read_head(head)
        if method == "GET" and self._is_websocket(raw):
            self._upgrade(raw)
        elif not method or len(self.pipeline) >= MAX_PIPELINE:
            self._refuse(400, _INVALID)
        elif method in HTTPMethod.__members__:
            self._parse(head)
        else:
            self._refuse(405, f'Method "{method}" not allowed.')

    def _is_websocket(self, head: bytes) -> bool:
        is_first = self.cycle is None or self._is_complete
        is_there = self._target["raw_path"].startswith(_WEBSOCKETS)
        return is_first and is_there and _WEBSOCKET.search(head) is not None

    def _upgrade(self, head: bytes) -> None:
        """Hand the connection over to uvicorn's protocol of websockets."""
        self._ended = True
        self.connections.discard(self)
        make: Callable[..., Any] = cast(Any, self.config.ws_protocol_class)
        protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.app_state
        )
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(head)

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(400, _INVALID)

    def _refuse(self, status: int, text: str) -> None:
        """Send an error, unless the request has a response already, and close."""
        self._ended = True
        self._unset_keepalive_if_required()
        if self.pipeline or not (self._is_complete or self._rest):
            # Earlier requests get their responses; the last one closes the connection.
            self.cycle.keep_alive = False
            return
        if not (self._rest and self.cycle.response_started):
            headers, body = error_parts(self._target.get("path", ""), f"REQ_{status}", text)
            fields = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self.transport.write(STATUS_LINE[status] + fields + _FIELDS % len(body) + body)
        if self._rest:
            self.cycle.disconnected = True  # uvicorn sends nothing more.
        self.transport.close()
        self._end_after(self.timeout_keep_alive, self.transport.abort)


def _read_head(head: bytes) -> tuple[str, dict[str, Any], bytes]:
    """Return a head's method, the scope's values of its target, and a head for the parser.

    The method of an invalid request line is empty.
    """
    line = _LINE.match(head)
    if line is None or line[1] == b"CONNECT":
        return "", {}, b""
    method, target, minor = line.groups()
    # It matches the beginning of any target.
    raw_path, query = _TARGET.match(target).groups()  # type: ignore[union-attr]
    raw_path, path = paths.normalize(raw_path)
    fields = _UPGRADE.sub(b"", head[line.end() :])
    return (
        method.decode(),
        {"raw_path": raw_path, "path": path, "query_string": query},
        b"%b / HTTP/1.%b\r\n%b" % (method, minor, fields),
    )
