"""The HTTP client for handlers: sends one request and returns the response. No ORM, no Django.

The engine and the validators send all their requests through here. `addresses` decides what may
be called, `http_errors` words the failures.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.http import RawResponseMessage
from yarl import URL

from webhooks.http import exchange, http_errors
from webhooks.http.addresses import AddressPolicy, AddressRefused
from webhooks.http.connection import DNS_THREADS, Connector, Progress, Resolver, current
from webhooks.http.http_errors import Target, describe_error
from webhooks.http.messages import Request, RequestFailed, Response
from webhooks.http.url_validation import check_url

__all__ = ["AddressPolicy", "Request", "RequestFailed", "Response", "Transport", "check_url"]

READ_CAP = 65536
# For readers who may not see the handler's address.
_PUBLIC_ADDRESS_MESSAGE = "The handler has an address that the simulator does not call."


@dataclass(slots=True)
class _PendingRequest:
    """A request that is being sent, and what has arrived of its response."""

    request: Request
    url: URL
    read_cap: int
    progress: Progress = field(default_factory=Progress)
    received: RawResponseMessage | None = None
    body: bytearray = field(default_factory=bytearray)

    def response(self, *, truncated: bool) -> Response | None:
        """Return what has arrived of the response."""
        if self.received is None:
            return None
        headers = tuple((_text(k), _text(v)) for k, v in self.received.raw_headers)
        return Response(self.received.code, headers, bytes(self.body), truncated)


class Transport:
    """Sends requests to handlers; create and close it inside the running loop."""

    def __init__(
        self, policy: AddressPolicy, *, proxy: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy = policy
        self._proxy = proxy_url(proxy)
        self._tls = tls
        self._closed = False
        self._pool = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")
        self._checked = Resolver(policy, self._pool)
        # With a proxy, aiohttp looks up the proxy only, which the operator chose: no check.
        self._resolver = Resolver(None, self._pool) if self._proxy else self._checked
        self._connector = self._open_connector(force_close=False)
        # For the second try after a reused connection was closed: the pool may hold more of them.
        self._fresh_connector = self._open_connector(force_close=True)

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
            raise RequestFailed(message, error_class=http_errors.STOPPED)
        pending = _PendingRequest(request, _url(request.url), read_cap)
        pending.progress.on_sent = on_sent
        deadline = asyncio.timeout(timeout)
        token = current.set(pending.progress)
        try:
            async with deadline:
                return await self._send_twice(pending)
        except RequestFailed:
            raise
        except AddressRefused as refused:
            message, public = str(refused), _PUBLIC_ADDRESS_MESSAGE
            raise RequestFailed(
                message, error_class=http_errors.ADDRESS, public_message=public
            ) from None
        except Exception as exc:
            if deadline.expired():
                message = public = f"Timed out after {timeout:g} s."
                error_class = http_errors.TIMEOUT
            else:
                message, public = describe_error(exc, self._peer(pending.url), pending.progress)
                error_class = http_errors.classify_error(exc, pending.progress)
            response = pending.response(truncated=True)
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
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _send_twice(self, pending: _PendingRequest) -> Response:
        """Send the request, once more if a reused connection was closed without a response."""
        await self._check_target(pending.url)
        if pending.request.transmission is not None:
            # A reset must not look like a reused connection that was closed meanwhile.
            return await self._send(self._fresh_connector, pending)
        try:
            return await self._send(self._connector, pending)
        except (aiohttp.ClientConnectionError, OSError):
            # A server may close an idle connection while we write to it. It has not processed the
            # request, so repeating it is allowed (RFC 9112, 9.3.1).
            if not pending.progress.unanswered_reuse:
                raise
        return await self._send(self._fresh_connector, pending)

    async def _check_target(self, url: URL) -> None:
        """Check what aiohttp's resolver is not asked: IP literals, and names behind a proxy."""
        host = url.raw_host or ""
        if _is_address(host):
            self._policy.check(host, host)
        elif self._proxy:
            await self._checked.resolve(host)

    async def _send(self, connector: Connector, pending: _PendingRequest) -> Response:
        prepared = exchange.prepare(pending.request, pending.url, self._proxy)
        connection = await connector.connect(prepared, [], exchange.NO_TIMEOUT)
        protocol, sending = connection.protocol, None
        assert protocol is not None
        try:
            sending = exchange.send(protocol, prepared, pending.request, last=connector.force_close)
            pending.received, content = await protocol.read()
            if pending.received.code == 101:
                raise RequestFailed(
                    "Handler returned HTTP 101 (Switching Protocols), which is not supported.",
                    pending.response(truncated=False),
                    error_class=http_errors.PROTOCOL,
                )
            content.on_eof(connection.release)
            truncated = await _read(content, pending.body, pending.read_cap)
        finally:
            if sending is not None:
                sending.cancel()
            # After a complete body the connection is in the pool already, and stays open.
            connection.close()
        response = pending.response(truncated=truncated)
        assert response is not None
        return response

    def _peer(self, url: URL) -> Target:
        return Target(url.raw_host or "", url.port, url.scheme == "https", bool(self._proxy))

    def _open_connector(self, *, force_close: bool) -> Connector:
        return Connector(
            self._open_socket,
            resolver=self._resolver,
            force_close=force_close,
            ssl=self._tls if self._tls is not None else True,
        )

    def _open_socket(self, info: AddrInfoType) -> socket.socket:
        """Open the socket for one address: the final address check, after DNS."""
        family, kind, protocol, _, sockaddr = info
        if not self._proxy:
            self._policy.check(str(sockaddr[0]), str(sockaddr[0]))
        return socket.socket(family, kind, protocol)


async def _read(content: aiohttp.StreamReader, body: bytearray, cap: int) -> bool:
    """Read the body up to the cap; return whether it was longer."""
    # `read(n)` returns what has arrived, so a slow body needs the loop; one byte beyond the cap
    # distinguishes a body that is longer from one that just fits.
    while len(body) <= cap:
        chunk = await content.read(min(exchange.READ_SIZE, cap + 1 - len(body)))
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
        raise RequestFailed(
            str(exc), error_class=http_errors.REQUEST, public_message=public
        ) from None


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def proxy_url(proxy: str | None) -> URL | None:
    """Return the proxy's URL, or None without one; raises ValueError that doesn't quote it."""
    if not proxy:
        return None
    try:
        url = URL(proxy)
        is_usable = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
    except (ValueError, TypeError):
        is_usable = False
    if not is_usable:
        # Not shown: it may contain a password.
        raise ValueError(
            "The proxy must be a URL of scheme http or https, such as http://proxy.example:3128."
        )
    return url


def _text(raw: bytes) -> str:
    """Return a header as text that a database can store: no NUL, no lone surrogates."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\x00", "\ufffd")
