"""The one HTTP seam: a call goes out, an answer or a sentence comes back. No ORM, no Django.

The engine and the validators call handlers through here and through nothing else. What may be
called is `addresses`' business, what a failure is called that of `failures`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

import aiohttp
from aiohappyeyeballs import AddrInfoType
from multidict import CIMultiDict
from yarl import URL

from webhooks.http.addresses import AddressPolicy
from webhooks.http.connection import Connector, Progress, current
from webhooks.http.exchange import Answer, Call, CallFailed
from webhooks.http.headers import FRAMING, HeaderRefused, check_written
from webhooks.http.http_errors import Place, sentences
from webhooks.http.resolver import THREADS, Resolver
from webhooks.http.url_validation import check_url

__all__ = ["AddressPolicy", "Answer", "Call", "CallFailed", "Transport", "check_url"]

READ_CAP = 65536
_PIECE = 65536
# For those who mustn't learn of a webhook's own headers.
_TOLD = "The webhook has a header that can't be sent."


@dataclass(slots=True)
class _Attempt:
    """One call under way: what is sent, and what is known of the answer however it ends."""

    call: Call
    url: URL
    headers: CIMultiDict[str]
    read_cap: int
    progress: Progress = field(default_factory=Progress)
    response: aiohttp.ClientResponse | None = None
    body: bytearray = field(default_factory=bytearray)

    def answer(self, *, truncated: bool) -> Answer | None:
        """Return the answer as far as it has arrived."""
        if self.response is None:
            return None
        headers = tuple((_text(k), _text(v)) for k, v in self.response.raw_headers)
        return Answer(self.response.status, headers, bytes(self.body), truncated)


class Transport:
    """Calls handlers; create it inside the running loop, and close it there."""

    def __init__(
        self, policy: AddressPolicy, *, proxy: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy = policy
        self._proxy = proxy_url(proxy)
        self._tls = tls
        self._closed = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        self._checked = Resolver(policy, self._pool)
        # With a proxy, aiohttp only ever looks up the proxy: the operator's choice, unchecked.
        self._resolver = Resolver(None, self._pool) if self._proxy else self._checked
        self._session = self._open_session(force_close=False)
        # For what died on a used connection: the pool may hold more of the kind.
        self._fresh_session = self._open_session(force_close=True)

    async def call(self, call: Call, *, timeout: float, read_cap: int = READ_CAP) -> Answer:
        """Return the complete answer (or the first `read_cap` bytes of it), or raise CallFailed."""
        if self._closed:
            raise CallFailed("The simulator is stopping: the call was not made.")
        attempt = _Attempt(call, _target(call.url), _headers(call), read_cap)
        deadline = asyncio.timeout(timeout)
        token = current.set(attempt.progress)
        try:
            # One deadline around all of it: aiohttp's own are a socket's, and rounded up.
            async with deadline:
                return await self._attempt(attempt)
        except CallFailed:
            raise
        except Exception as exc:
            # Whatever it is, it becomes a sentence.
            if deadline.expired():
                said = told = f"There was no complete answer within {timeout:g} s."
            else:
                said, told = sentences(exc, self._place(attempt.url), attempt.progress)
            raise CallFailed(said, attempt.answer(truncated=True), told=told) from None
        finally:
            current.reset(token)

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        self._closed = True
        await self._session.close()
        await self._fresh_session.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _attempt(self, attempt: _Attempt) -> Answer:
        await self._check_target(attempt.url)
        try:
            return await self._send(self._session, attempt)
        except (aiohttp.ClientConnectionError, OSError):
            # A server may close an idle connection just as we write to it. It hasn't begun to
            # answer, so the request goes out once more (RFC 9112, 9.3.1).
            if not attempt.progress.unanswered_reuse:
                raise
        return await self._send(self._fresh_session, attempt)

    async def _check_target(self, url: URL) -> None:
        """Check what the resolver never sees: literals, and names that the proxy looks up."""
        host = url.raw_host or ""
        try:
            ip_address(host)
        except ValueError:
            if self._proxy:
                await self._checked.resolve(host)
        else:
            self._policy.check(host, host)

    async def _send(self, session: aiohttp.ClientSession, attempt: _Attempt) -> Answer:
        attempt.response = response = await session.request(
            attempt.call.method,
            attempt.url,
            data=attempt.call.body,
            headers=attempt.headers,
            allow_redirects=False,
            proxy=self._proxy,
        )
        try:
            if response.status == 101:
                raise CallFailed(
                    "The handler answered 101 and wants to switch protocols; "
                    "only a plain answer will do.",
                    attempt.answer(truncated=False),
                )
            truncated = await _read(response, attempt.body, attempt.read_cap)
        finally:
            # Closes nothing once the body has been read to its end: the connection is back then.
            response.close()
        answer = attempt.answer(truncated=truncated)
        assert answer is not None
        return answer

    def _place(self, url: URL) -> Place:
        return Place(url.raw_host or "", url.port, url.scheme == "https", bool(self._proxy))

    def _open_session(self, *, force_close: bool) -> aiohttp.ClientSession:
        connector = Connector(
            self._open_socket,
            resolver=self._resolver,
            force_close=force_close,
            ssl=self._tls if self._tls is not None else True,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # The caller's business: aiohttp would name itself.
            skip_auto_headers=("User-Agent",),
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=_PIECE,
        )
        # aiohttp would repeat a GET by itself, even one that died on a fresh connection.
        session._retry_connection = False
        return session

    def _open_socket(self, info: AddrInfoType) -> socket.socket:
        """Open the socket for one address: the last look before a packet leaves."""
        family, kind, protocol, _, sockaddr = info
        if not self._proxy:
            self._policy.check(str(sockaddr[0]), str(sockaddr[0]))
        return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse, body: bytearray, cap: int) -> bool:
    """Read the body up to the cap; return whether there was more."""
    # `read(n)` returns what is there, so a dripped body needs the loop; the one byte beyond the
    # cap tells a body that just fits from one that doesn't.
    while len(body) <= cap:
        piece = await response.content.read(min(_PIECE, cap + 1 - len(body)))
        if not piece:
            return False
        body += piece
    del body[cap:]
    return True


@lru_cache(maxsize=4096)
def _target(url: str) -> URL:
    try:
        # Encoded already: yarl would change the query otherwise.
        return URL(check_url(url), encoded=True)
    except ValueError as exc:
        raise CallFailed(str(exc), told="The handler's URL can't be called.") from None


def _headers(call: Call) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in call.headers.items():
        try:
            check_written(name, value)
        except HeaderRefused as exc:
            raise CallFailed(str(exc), told=_TOLD) from None
        if name.lower() in FRAMING:
            said = f"The header {name} belongs to the connection and can't be set."
            raise CallFailed(said, told=_TOLD)
        headers[name] = value
    headers["Accept-Encoding"] = "identity"
    return headers


def proxy_url(proxy: str | None) -> URL | None:
    """Return the proxy's URL, or None without one; raises ValueError, without what it was."""
    if not proxy:
        return None
    try:
        url = URL(proxy)
        is_usable = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
    except (ValueError, TypeError):
        is_usable = False
    if not is_usable:
        # Not shown: it may have a password in it.
        raise ValueError(
            "The proxy must be a URL of scheme http or https, such as http://proxy.example:3128."
        )
    return url


def _text(raw: bytes) -> str:
    """Return a header as text that a database takes: no NUL, no lone surrogates."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\x00", "\ufffd")
