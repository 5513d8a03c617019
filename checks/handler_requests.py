"""Requests that a check sends to a handler itself, byte for byte as it wants them."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checks import client

_READ = 64 * 1024  # bytes of a response that are kept

Headers = Sequence[tuple[str, str]]
Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request to the handler; the repr has no headers, which contain the token."""

    method: str
    headers: Headers = field(repr=False)
    body: Body = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a response, or an error instead; `seconds` until then.

    `is_refused_connection` tells a handler that isn't running from one that hangs up.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float
    error: str = ""
    is_refused_connection: bool = False

    @property
    def is_success(self) -> bool:
        """Whether Connect would take it as success."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The status, or the error, for a sentence."""
        return self.error or f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class Handler:
    """The handler's address; each request has a connection of its own, unless one is given."""

    url: str

    def send(
        self,
        sent: SentRequest,
        timeout: float,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """Send a request and return the response, or why there is none."""
        own = connection is None
        used = connection or client.connect(self.url, timeout)
        used.timeout = timeout
        if used.sock:
            used.sock.settimeout(timeout)
        began = time.monotonic()
        try:
            _write(used, sent, client.target(self.url))
            response = used.getresponse()
            body = response.read(_READ)
            if response.length and len(body) < _READ:
                raise http.client.IncompleteRead(body, response.length)
            if not own:
                response.read()
            return Reply(
                response.status,
                body,
                {k.lower(): v for k, v in response.getheaders()},
                time.monotonic() - began,
            )
        except (OSError, http.client.HTTPException) as error:
            seconds = time.monotonic() - began
            refused = isinstance(error, ConnectionRefusedError)
            return Reply(0, b"", {}, seconds, _sentence(error, seconds), refused)
        finally:
            if own:
                used.close()


def _write(connection: http.client.HTTPConnection, sent: SentRequest, target: str) -> None:
    connection.putrequest(sent.method, target, skip_accept_encoding=True)
    for name, value in sent.headers:
        connection.putheader(name, value.encode("utf-8"))
    body: Any = sent.body
    if body is None:
        connection.endheaders()
    elif isinstance(body, bytes):
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(body, encode_chunked=True)


def _sentence(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no response within {seconds:.1f} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without a response"
    if isinstance(error, ConnectionError):
        return "the connection was reset"
    if isinstance(error, http.client.IncompleteRead):
        return "the response is shorter than its Content-Length"
    if isinstance(error, http.client.HTTPException):
        return "the response is not valid HTTP"
    return str(error)
