"""The HTTP client for handlers: sends one request and returns the response. No ORM, no Django.

The engine and the validators send all their requests through here. `addresses` decides what may
be called, `errors` words the failures. aiohttp's connector and connections are used without its
session: until a response arrives, that keeps 8 KiB of objects, and requests hang by the thousand.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

from webhooks.http import errors, headers
from webhooks.http.addresses import (
    DNS_THREADS,
    AddressPolicy,
    AddressRefused,
    Resolver,
    is_literal,
)
from webhooks.http.connection import Connector, current
from webhooks.http.errors import Progress
from webhooks.http.urls import check_url, proxy_url

READ_CAP = 65536
_READ_SIZE = 65536
# One deadline for everything is ours: aiohttp's are per socket operation, and rounded up.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)
# The end of a request's headers, on a connection that is kept, and on one that isn't.
_END, _LAST = b"\r\n", b"Connection: close\r\n\r\n"


class Transmission(Protocol):
    """How a request is sent on purpose: in pieces, for example, or up to a reset."""

    async def send(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Send the request; an OSError ends the wait for the response."""


@dataclass(slots=True)
class Request:
    """One HTTP request; the repr has no headers, which contain the token."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None
    # None: at once.
    transmission: Transmission | None = None
    # For the attempts of a claim that share the request: aiohttp's object, and its head.
    prepared: aiohttp.ClientRequest | None = field(
        default=None, init=False, repr=False, compare=False
    )
    head: bytes | None = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; the body as received, up to the read cap."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool

    def header(self, name: str) -> str:
        """Return the first value of a header, empty without one; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class RequestFailed(Exception):
    """A request without a complete response; the text says why and what to do.

    `response` is what had arrived by then, for display only: its status doesn't decide anything.
    `public_message` is for readers who may not see the handler's address, `error_class` is one of
    errors.ERROR_CLASSES.
    """

    def __init__(
        self,
        message: str,
        response: Response | None = None,
        *,
        error_class: str,
        public_message: str = "",
    ) -> None:
        super().__init__(message)
        self.response = response
        self.public_message = public_message or message
        self.error_class = error_class


@dataclass(slots=True)
class _Exchange:
    """A request that is being sent, and what has arrived of its response."""

    request: Request
    url: URL
    read_cap: int
    progress: Progress
    message: RawResponseMessage | None = None
    body: bytearray = field(default_factory=bytearray)

    def response(self, *, truncated: bool) -> Response | None:
        """Return what has arrived of the response."""
        if self.message is None:
            return None
        pairs = tuple((_text(k), _text(v)) for k, v in self.message.raw_headers)
        return Response(self.message.code, pairs, bytes(self.body), truncated)


class Transport:
    """Sends requests to handlers; create and close it inside the running loop."""

    def __init__(
        self, policy: AddressPolicy, *, proxy: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy = policy
        self._proxy = proxy_url(proxy)
        self._closed = False
        self._pool = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")
        self._checked = Resolver(policy, self._pool)
        # With a proxy, aiohttp looks up the proxy only, which the operator chose: no check.
        self._resolver = Resolver(None, self._pool) if self._proxy else self._checked
        # For the second try after a reused connection was closed: the pool may hold more of them.
        self._connector, self._fresh_connector = (
            Connector(
                self._open_socket, resolver=self._resolver, force_close=is_fresh, ssl=tls or True
            )
            for is_fresh in (False, True)
        )

    async def send(
        self,
        request: Request,
        *,
        timeout: float,
        read_cap: int = READ_CAP,
        on_sent: Callable[[], object] | None = None,
    ) -> Response:
        """Return the complete response (its body up to `read_cap` bytes); raises RequestFailed.

        `on_sent` is called in the loop, once, before the first byte of the request is sent.
        """
        if self._closed:
            message = "The simulator is stopping: the request was not sent."
            raise RequestFailed(message, error_class=errors.STOPPED)
        exchange = _Exchange(request, _url(request.url), read_cap, Progress(on_sent=on_sent))
        deadline = asyncio.timeout(timeout)
        token = current.set(exchange.progress)
        try:
            async with deadline:
                return await self._send_twice(exchange)
        except RequestFailed:
            raise
        except AddressRefused as refused:
            # For readers who may not see the handler's address.
            public = "The handler has an address that the simulator does not call."
            raise RequestFailed(
                str(refused), error_class=errors.ADDRESS, public_message=public
            ) from None
        except Exception as exc:
            if deadline.expired():
                message = public = f"Timed out after {timeout:g} s."
                error_class = errors.TIMEOUT
            else:
                url, progress = exchange.url, exchange.progress
                target = errors.Target(
                    url.raw_host or "", url.port, url.scheme == "https", bool(self._proxy)
                )
                message, public, error_class = errors.describe_error(exc, target, progress)
            response = exchange.response(truncated=True)
            raise RequestFailed(
                message, response, error_class=error_class, public_message=public
            ) from None
        finally:
            current.reset(token)

    async def close(self) -> None:
        """Close all connections; requests in flight fail."""
        self._closed = True
        await self._connector.close()
        await self._fresh_connector.close()
        await self._resolver.close()
        await self._checked.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _send_twice(self, exchange: _Exchange) -> Response:
        """Send the request, once more if a reused connection was closed without a response."""
        # What aiohttp's resolver is not asked: IP literals, and names behind a proxy.
        host = exchange.url.raw_host or ""
        if is_literal(host):
            self._policy.check(host, host)
        elif self._proxy:
            await self._checked.resolve(host)
        if exchange.request.transmission is not None:
            # A reset must not look like a reused connection that was closed meanwhile.
            return await self._send(self._fresh_connector, exchange)
        try:
            return await self._send(self._connector, exchange)
        except (aiohttp.ClientConnectionError, OSError):
            # A server may close an idle connection while we write to it. It has not processed the
            # request, so repeating it is allowed (RFC 9112, 9.3.1).
            if not exchange.progress.unanswered_reuse:
                raise
        return await self._send(self._fresh_connector, exchange)

    async def _send(self, connector: Connector, exchange: _Exchange) -> Response:
        prepared = exchange.request.prepared
        if prepared is None:
            prepared = _prepare(exchange.request, exchange.url, self._proxy)
            exchange.request.prepared = prepared
        connection = await connector.connect(prepared, [], _NO_TIMEOUT)
        protocol, sending = connection.protocol, None
        assert protocol is not None
        try:
            protocol.set_response_params(
                skip_payload=prepared.method == "HEAD",
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=_READ_SIZE,
            )
            # Only now: for a proxy, the connector has added a header.
            if exchange.request.head is None:
                exchange.request.head = _head(prepared)
            head = exchange.request.head + (_LAST if connector.force_close else _END)
            if protocol.transport is None or protocol.transport.is_closing():
                raise aiohttp.ClientConnectionResetError("The connection is closed.")
            if exchange.request.transmission is None:
                protocol.transport.writelines(filter(None, (head, exchange.request.body)))
            else:
                sending = asyncio.create_task(_transmit(protocol, head, exchange.request))
            exchange.message, content = await protocol.read()
            if exchange.message.code == 101:
                raise RequestFailed(
                    "Handler returned HTTP 101 (Switching Protocols), which is not supported.",
                    exchange.response(truncated=False),
                    error_class=errors.PROTOCOL,
                )
            content.on_eof(connection.release)
            truncated = await _read(content, exchange.body, exchange.read_cap)
        finally:
            if sending is not None:
                sending.cancel()
            # After a complete body the connection is in the pool already, and stays open.
            connection.close()
        response = exchange.response(truncated=truncated)
        assert response is not None
        return response

    def _open_socket(self, info: AddrInfoType) -> socket.socket:
        """Open the socket for one address: the final address check, after DNS."""
        family, kind, protocol, _, sockaddr = info
        if not self._proxy:
            self._policy.check(str(sockaddr[0]), str(sockaddr[0]))
        return socket.socket(family, kind, protocol)


def _prepare(request: Request, url: URL, proxy: URL | None) -> aiohttp.ClientRequest:
    """Return what a connector needs to open a connection, with headers; raises RequestFailed."""
    try:
        headers.check_sent(request.headers)
    except headers.HeaderRefused as refused:
        public = "The webhook has a header that cannot be sent."
        raise RequestFailed(
            str(refused), error_class=errors.REQUEST, public_message=public
        ) from None
    fields: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        fields[name] = value
    fields["Accept-Encoding"] = "identity"
    has_body = request.body is not None or request.transmission is not None
    if has_body:
        fields["Content-Length"] = str(len(request.body or b""))
    if has_body or request.method in aiohttp.ClientRequest.POST_METHODS:
        fields.setdefault("Content-Type", "application/octet-stream")
    return aiohttp.ClientRequest(
        request.method,
        url,
        headers=fields,
        # The caller sets it; aiohttp would send its own name.
        skip_auto_headers=("User-Agent",),
        loop=asyncio.get_running_loop(),
        proxy=proxy,
    )


def _head(prepared: aiohttp.ClientRequest) -> bytes:
    """Return the request line and the headers, without their end.

    Raises ValueError for a control character.
    """
    # A proxy that doesn't tunnel the connection needs the whole URL.
    is_forwarded = prepared.proxy is not None and not prepared.is_ssl()
    path = str(prepared.url) if is_forwarded else prepared.url.raw_path_qs
    lines = [f"{prepared.method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in prepared.headers.items()]
    if headers.CONTROL.search("".join(lines)):
        raise ValueError("A control character would split the request in two.")
    return "".join(f"{line}\r\n" for line in lines).encode()


async def _transmit(protocol: ResponseHandler, head: bytes, request: Request) -> None:
    try:
        assert request.transmission is not None and protocol.transport is not None
        await request.transmission.send(protocol.transport, head, request.body or b"")
    except OSError as error:
        protocol.set_exception(aiohttp.ClientOSError(error.errno, "The body was not sent."), error)


async def _read(content: aiohttp.StreamReader, body: bytearray, cap: int) -> bool:
    """Read the body up to the cap; return whether it was longer."""
    # `read(n)` returns what has arrived, so a slow body needs the loop; one byte beyond the cap
    # distinguishes a body that is longer from one that just fits.
    while len(body) <= cap:
        chunk = await content.read(min(_READ_SIZE, cap + 1 - len(body)))
        if not chunk:
            return False
        body += chunk
    del body[cap:]
    return True


@lru_cache(maxsize=4096)
def _url(url: str) -> URL:
    try:
        # Encoded already: otherwise yarl would change the query.
        return URL(check_url(url), encoded=True)
    except ValueError as exc:
        public = "The handler's URL cannot be called."
        raise RequestFailed(str(exc), error_class=errors.REQUEST, public_message=public) from None


def _text(raw: bytes) -> str:
    """Return a header as text that a database can store: no NUL, no lone surrogates."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\x00", "\ufffd")
