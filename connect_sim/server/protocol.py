"""uvicorn's HTTP/1.1 protocol with limits for slow and hostile clients.

`tests/runtime/test_uvicorn_parts.py` lists the private attributes of uvicorn that it uses, and
pyproject.toml caps the version.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from connect_sim.server import paths, sockets
from connect_sim.server.connections import Connections, Group
from connect_sim.server.request_line import MAX_HEAD, Incomplete, RequestLine
from connect_sim.server.response import error_body

# Pipelined requests of one connection.
MAX_PIPELINE = 100
# A connection is throttled from the ninth read of less than 1 KiB that completes no request.
_SMALL, _FEW = 1024, 8

CONNECTION = "connect_sim.connection"


class NotServed(Exception):
    """Raised in a callback of the parser, which handles it as a malformed request."""


class Connection(HttpToolsProtocol):
    """One client's connection.

    Endpoints find it in `scope["extensions"][CONNECTION]`, for example to reset it.
    """

    def __init__(self, *arguments: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # A query may contain a secret.
        self.access_log = False
        self.group: Group | None = None
        self.body_bytes = 0
        self._watch = connections
        self._in_head = self._in_body = self._throttled = False
        # _ended: data is ignored; _lost: the transport is closed.
        self._ended = self._lost = self._is_malformed = False
        # The client has closed its side of the connection: perhaps it waits for a response.
        self.is_half_closed = False
        self._small_reads = 0
        self._line = RequestLine()
        # `cycle` is that of the latest request, which may still be in the pipeline.
        self._running = self.cycle

    # -- callbacks of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection."""
        super().connection_made(transport)
        self._watch.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister the connection."""
        self._ended = self._lost = True
        self._watch.closed(self)
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and move the connection to its group."""
        if self._ended:
            return
        if self._line.exceeds(data, self._in_head):
            self._refuse(431, f"The request head is larger than {MAX_HEAD // 1024} KiB.")
            return
        escaped = self._line.escape(data, self._in_head)
        if not self._is_malformed:
            self._feed(escaped)
        if self._is_malformed:
            self._refuse_malformed()
        if self._ended:
            return
        if not (self._in_head or self._in_body):
            self._line.reset()
        self._regroup()
        self._throttle(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for responses, if a client that sends no more waits for some."""
        self.is_half_closed = True
        cycle = self.cycle
        is_complete = cycle is None or cycle.response_complete
        if self._in_head or (self._in_body and not is_complete):
            self._refuse(400, "The connection was closed before the request was complete.")
        elif is_complete:
            return False
        else:
            self._ended, cycle.keep_alive = True, False
        # A deferred response ends.
        if self._running is not None:
            self._running.message_event.set()
        return True

    def pause_writing(self) -> None:
        """Watch a client that does not read its response."""
        super().pause_writing()
        self._watch.stalled(self)

    def resume_writing(self) -> None:
        """Stop watching it."""
        super().resume_writing()
        self._watch.recovered(self)

    # -- callbacks of the parser

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._in_head, self.body_bytes = True, 0
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Start the application with the normalized path, and the query as received.

        uvicorn's parsing of the target fails for unescaped bytes.
        """
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise NotServed
            if self._should_upgrade():
                super().on_headers_complete()
            # The websocket protocol takes over, or `_ignore_upgrade` parses the request again.
            return
        if len(self.pipeline) >= MAX_PIPELINE:
            raise NotServed
        self._in_head, self._in_body, self._small_reads = False, True, 0
        target, scope = self.url, self.scope
        self.url = b"/"
        super().on_headers_complete()
        self.url = target
        raw_path, query = self._line.target(target)
        scope["raw_path"], scope["path"] = paths.normalize(raw_path)
        scope["query_string"] = query
        if not self.pipeline:
            self._running = self.cycle

    def on_body(self, body: bytes) -> None:
        """Count the bytes of the body."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self.parser.should_upgrade():
            return
        self._in_body, self._small_reads = False, 0
        super().on_message_complete()

    # -- callbacks of the server

    def on_response_complete(self) -> None:
        """Wait for the next request, without uvicorn's timer."""
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self._lost:
            return
        if self.pipeline:
            # Resume when the pipelined requests have responses.
            self.flow.pause_reading()
        self._regroup()

    def handle_websocket_upgrade(self) -> None:
        """Hand the transport over to the websocket protocol."""
        self._ended = True
        self._watch.closed(self)
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Close the connection, after the response if a request is running."""
        if self.group is None:
            super().shutdown()
        else:
            self.close()

    # -- the interface for endpoints

    def reset(self) -> None:
        """Close immediately with a TCP reset."""
        if not self._lost:
            self._ended = True
            self._disconnect()
            sockets.reset(self.transport)

    def unreceived_bytes(self) -> int:
        """Return the bytes of responses that have not reached the client's system."""
        return 0 if self._lost else sockets.unacknowledged_bytes(self.transport)

    # -- the interface for the sweep

    def unsent_bytes(self) -> int:
        """Return the bytes of responses that the client has not read."""
        return self.transport.get_write_buffer_size()

    def is_paused(self) -> bool:
        """Return whether the server itself has stopped reading."""
        if self.cycle is not None and self.cycle.waiting_for_100_continue:
            return True
        return self.flow.read_paused and not self._throttled

    def resume(self) -> None:
        """Read again after a throttle."""
        self._throttled = False
        if not self._ended and not self.pipeline:
            self.flow.resume_reading()

    def time_out(self) -> None:
        """Send 408 if a request has begun, and close."""
        if self._in_head or self._in_body:
            self._refuse(408, "The request was not complete in time.")
        else:
            self.close()

    def close(self) -> None:
        """Close after sending what has been written."""
        self._ended = True
        self.transport.close()
        self._watch.move(self, self._watch.closing)

    def abort(self) -> None:
        """Close immediately."""
        self._ended = True
        self.transport.abort()

    # -- implementation

    def _disconnect(self) -> None:
        """Report the disconnection to the running request; uvicorn reports it to the latest."""
        cycle = self._running
        if cycle and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._is_malformed = True

    def _refuse_malformed(self) -> None:
        """Refuse what the parser has refused, as soon as the reason is known."""
        try:
            unknown = self._line.unknown_method()
        except Incomplete:
            return
        if unknown is None:
            self._refuse(400, "The request is not valid HTTP.")
        else:
            method, raw_path = unknown
            path = paths.normalize(raw_path)[1]
            self._refuse(405, f'Method "{method}" not allowed.', path)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve a request that offers HTTP/2, as Java's clients do, by HTTP/1.1.

        The parser would treat the request body as data of the other protocol.
        """
        version = self.scope["http_version"].encode()
        head = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        head += [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join([*head, b"\r\n", rest]))

    def _refuse(self, status: int, text: str, path: str = "") -> None:
        """Send an error and close, but never within the response to another request."""
        self._ended = True
        cycle = self.cycle
        if self.pipeline or (cycle and not cycle.response_complete and not self._in_body):
            # Earlier requests get their responses; the last one closes the connection.
            cycle.keep_alive = False
            return
        if cycle is None or cycle.response_complete or not cycle.response_started:
            if self._in_body:
                path = self.scope.get("path", "")
            content_type, body = error_body(path, f"REQ_{status}", text)
            head = (
                b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
                % (content_type, len(body))
            )  # fmt: skip
            self.transport.write(STATUS_LINE[status] + head + body)
        self.close()

    def _regroup(self) -> None:
        """Move the connection to the group of what it waits for."""
        cycle, watch = self.cycle, self._watch
        is_complete = cycle is None or cycle.response_complete
        group: Group | None = None
        if self.transport.is_closing():
            group = watch.closing
        elif self.pipeline:
            pass
        elif self._in_body:
            group = watch.discards if is_complete else watch.bodies
        elif is_complete:
            group = watch.heads if self._in_head or cycle is None else watch.idle
        watch.move(self, group)

    def _throttle(self, size: int) -> None:
        """Pause reading after many small reads that complete no request.

        Each read costs as much as a whole request; after a pause the data arrives in one.
        """
        if size >= _SMALL or not (self._in_head or self._in_body):
            self._small_reads = 0
            return
        self._small_reads += 1
        if self._small_reads > _FEW and not self.flow.read_paused:
            self._throttled = True
            self.flow.pause_reading()
            self._watch.throttle(self)
