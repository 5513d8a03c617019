"""uvicorn's HTTP/1.1 protocol with limits for slow and hostile clients.

Every private part of uvicorn that is used is named in `tests/runtime/test_uvicorn_parts.py`, and
pyproject.toml caps the version.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from connect_sim.server import refusals
from connect_sim.server.connections import Connections, Group
from connect_sim.server.request_line import RequestLine

# Of the request line and all headers together.
MAX_HEAD = 256 * 1024
# Requests of one connection that wait for an earlier one's response.
MAX_PIPELINE = 100
# From the ninth read of less than 1 KiB that completes nothing, a connection is throttled.
_SMALL, _FEW = 1024, 8

TRANSPORT = "connect_sim.transport"


class NotServed(Exception):
    """Raised in a call of the parser's, which takes it for a malformed request."""


class Connection(HttpToolsProtocol):
    """One client's connection.

    An endpoint finds the connection's transport as `scope["extensions"][TRANSPORT]`, for example
    to cut it.
    """

    def __init__(self, *arguments: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # A query may hold a secret.
        self.access_log = False
        self.group: Group | None = None
        self.body_bytes = 0
        self._watch = connections
        self._in_head = self._in_body = self._throttled = False
        # Nothing is read any more; nothing can be done with the transport any more.
        self._ended = self._lost = False
        self._head_bytes = self._small_reads = 0
        self._line = RequestLine()

    # -- the transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Watch the connection from now on."""
        super().connection_made(transport)
        self._watch.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._ended = self._lost = True
        self._watch.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and note what the connection waits for then."""
        if self._ended:
            return
        self._feed(self._line.escape(data, self._in_head))
        if self._ended:
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse(431, f"The request's head is larger than {MAX_HEAD // 1024} KiB.")
                return
        elif not self._in_body:
            self._line.reset()
        self._regroup()
        self._throttle(len(data))

    def pause_writing(self) -> None:
        """Watch whether the client takes what is written."""
        super().pause_writing()
        self._watch.stalls(self)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._watch.flows(self)

    # -- the parser's calls

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self.body_bytes = 0
        self.scope["extensions"] = {TRANSPORT: self.transport}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Start the application with path and query as they were received.

        uvicorn's own reading of the target fails for bytes that clients send unescaped.
        """
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise NotServed
            if self._should_upgrade():
                super().on_headers_complete()
            # A websocket's own protocol takes over, or the request is fed again without the offer.
            return
        if len(self.pipeline) >= MAX_PIPELINE:
            raise NotServed
        self._in_head, self._in_body, self._small_reads = False, True, 0
        target, scope = self.url, self.scope
        self.url = b"/"
        super().on_headers_complete()
        self.url = target
        raw_path, query = self._line.target(target)
        scope["raw_path"], scope["query_string"] = raw_path, query
        scope["path"] = unquote_to_bytes(raw_path).decode(errors="replace")

    def on_body(self, body: bytes) -> None:
        """Count what came."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self.parser.should_upgrade():
            return
        self._in_body, self._small_reads = False, 0
        super().on_message_complete()

    # -- the server's calls

    def on_response_complete(self) -> None:
        """Wait for the next request, in place of a timer for each response."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self._lost:
            return
        if self.pipeline:
            # Read on when they have been answered.
            self.flow.pause_reading()
        self._regroup()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, msg)

    def handle_websocket_upgrade(self) -> None:
        """Hand the transport over; a websocket's own protocol watches it."""
        self._ended = True
        self._watch.closed(self)
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Close what isn't being served; the others close with their response."""
        if self.group is None:
            super().shutdown()
        else:
            self.close()

    # -- what the sweep does

    def is_writing(self) -> int:
        """Return the bytes of responses that the client hasn't taken."""
        return self.transport.get_write_buffer_size()

    def is_paused(self) -> bool:
        """Whether the server itself has stopped reading."""
        if self.cycle is not None and self.cycle.waiting_for_100_continue:
            return True
        return self.flow.read_paused and not self._throttled

    def resume(self) -> None:
        """Read again after a throttle."""
        self._throttled = False
        if not self._ended and not self.pipeline:
            self.flow.resume_reading()

    def time_out(self) -> None:
        """Answer 408 to a request that has begun, and close."""
        if self._in_head or self._in_body:
            self._refuse(408, "The request was not complete in time.")
        else:
            self.close()

    def close(self) -> None:
        """Close after what has been written."""
        self._ended = True
        self.transport.close()
        self._watch.move(self, self._watch.closing)

    def abort(self) -> None:
        """Close at once."""
        self._ended = True
        self.transport.abort()

    # -- ours

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("The request is not valid HTTP.")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve by HTTP/1.1 a request that offers HTTP/2, as Java's clients do.

        The parser would take the request's body for the other protocol.
        """
        version = self.scope["http_version"].encode()
        head = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        head += [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join([*head, b"\r\n", rest]))

    def _refuse(self, status: int, text: str) -> None:
        """Answer an error and close, but never into another request's response."""
        self._ended = True
        cycle = self.cycle
        if self.pipeline or (cycle and not cycle.response_complete and not self._in_body):
            # Earlier requests are answered; the last response closes the connection.
            cycle.keep_alive = False
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            path = self.scope.get("path", "") if self._in_body else ""
            content_type, body = refusals.body(path, f"REQ_{status}", text)
            head = (
                b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
                % (content_type, len(body))
            )  # fmt: skip
            self.transport.write(STATUS_LINE[status] + head + body)
        self.close()

    def _regroup(self) -> None:
        """Enter the group of what the connection waits for."""
        cycle, watch = self.cycle, self._watch
        served = cycle is None or cycle.response_complete
        group: Group | None = None
        if self.transport.is_closing():
            group = watch.closing
        elif self.pipeline:
            pass
        elif self._in_body:
            group = watch.discards if served else watch.bodies
        elif served:
            group = watch.heads if self._in_head or cycle is None else watch.idle
        watch.move(self, group)

    def _throttle(self, size: int) -> None:
        """Stop reading for a moment where many small pieces complete nothing.

        Each piece costs as much as a whole request would; read later, they come as one.
        """
        if size >= _SMALL or not (self._in_head or self._in_body):
            self._small_reads = 0
            return
        self._small_reads += 1
        if self._small_reads > _FEW and not self.flow.read_paused:
            self._throttled = True
            self.flow.pause_reading()
            self._watch.throttle(self)
