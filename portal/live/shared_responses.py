"""Responses with shared parts of pages, sent by the event loop: no thread, session or statement.

After a change, all open pages of an account request the same part. Django answers the first
request, and the others get its response, if

- their session has an open page in this process, and was valid after the part had been read, so
  nobody gets what has changed after they signed out or lost a permission;
- the part was read after the latest event of the account's pages, so what has changed since then
  leads to another event.

All other requests are Django's. A view offers its response by `portal.live.fragments.SharedParts`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import parse_cookie

from portal.live.hub import Hub, hub
from portal.live.open_sessions import OpenSession, OpenSessions, open_sessions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Key of the scope of a request that others wait for: a list, to which a view adds its `Offer`.
OFFERS = "portal.offers"
MAX_RESPONSES = 256
# Seconds after which a part is read again, since time alone changes pages.
MAX_AGE = 2.0
# CPU seconds of such a response, of its request, and of the event before it.
COST = 0.0008
# Requests that a request waits for, until it is Django's.
_WAITS = 2
# Requests with these are Django's.
_UNUSUAL = frozenset({b"content-length", b"transfer-encoding", b"expect"})
_BODY_HEADERS = (b"content-length", b"content-encoding")


@dataclass(slots=True)
class Offer:
    """What a view says of its response, which all users of its account may get.

    The version is that of the hub before the part was read, and the sessions are those that were
    valid afterwards, at this time.
    """

    digest: str
    version: int
    read_at: float
    sessions: frozenset[str]
    checked_at: float

    def is_for(self, session: OpenSession) -> bool:
        """Whether a session was valid after the part had been read; a new one was, for its page."""
        return session.key in self.sessions or session.checked_at > self.checked_at


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a part of a page, of a session that has an open page."""

    session: OpenSession
    seen: str
    # The account, and what else the response depends on.
    key: tuple[Any, ...]


class Response:
    """The latest response with a part; used in the event loop only."""

    def __init__(self) -> None:
        self.offer: Offer | None = None
        # Done when the request that is Django's has been answered.
        self.reading: asyncio.Future[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        # None if the page of the first request had the part already.
        self._body: bytes | None = None

    def is_fresh(self, request: Request, version: int) -> bool:
        """Whether it has what a request wants that follows an event of this version."""
        offer = self.offer
        if offer is None or offer.version < version:
            return False
        if time.monotonic() - offer.read_at >= MAX_AGE:
            return False
        return self._body is not None or request.seen == offer.digest

    def take(self, offer: Offer | None, start: Message, body: bytes) -> None:
        """Keep a response that the view has offered."""
        headers = list(start.get("headers", ()))
        is_private = any(name.lower() == b"set-cookie" for name, _ in headers)
        if offer is None or is_private or start["status"] not in (200, 204):
            self.offer = None
            return
        self.offer, self._headers = offer, headers
        self._body = body if start["status"] == 200 else None

    async def send(self, request: Request, send: Send) -> None:
        """Send the part, or 204 to a page that has it."""
        assert self.offer is not None
        status, headers, body = 200, self._headers, self._body
        if request.seen == self.offer.digest or body is None:
            status, body = 204, b""
            headers = [pair for pair in headers if pair[0].lower() not in _BODY_HEADERS]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class SharedResponses:
    """The responses of this process; those that were requested longest ago make room."""

    def __init__(self, hub: Hub, sessions: OpenSessions) -> None:
        self._hub, self._sessions = hub, sessions
        self._responses: OrderedDict[tuple[Any, ...], Response] = OrderedDict()

    async def serve(
        self, application: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request, or let the application do it."""
        request = self._parse(scope) if self._sessions and scope["type"] == "http" else None
        if request is None:
            await application(scope, receive, send)
            return
        response = self._response(request)
        for _ in range(_WAITS + 1):
            version = self._hub.sent_version(request.session.account)
            if version is None:
                break
            if response.is_fresh(request, version):
                if response.offer is None or not response.offer.is_for(request.session):
                    break
                await response.send(request, send)
                self._hub.note_cost(COST)
                return
            if response.reading is None:
                await _lead(response, application, scope, receive, send)
                if response.offer is None:
                    self._forget(request, response)
                return
            if response.offer is None:
                # Perhaps it is no shared part at all.
                break
            await asyncio.wait({response.reading})
        await application(scope, receive, send)

    def _parse(self, scope: Scope) -> Request | None:
        """Return the request, if it may be for a shared part."""
        if scope["method"] != "GET":
            return None
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers:
                return None
            headers[name] = value
        if b"hx-request" not in headers or b"cookie" not in headers or _UNUSUAL & headers.keys():
            return None
        cookies = parse_cookie(headers[b"cookie"].decode("latin-1"))
        session = self._sessions.get(cookies.get(settings.SESSION_COOKIE_NAME, ""))
        if session is None:
            return None
        seen, query = "", []
        for pair in scope["query_string"].split(b"&"):
            if pair.startswith(b"seen="):
                seen = pair[5:].decode("latin-1")
            elif pair:
                query.append(pair)
        zips = b"gzip" in headers.get(b"accept-encoding", b"")
        host = scope["scheme"], headers.get(b"host")
        key = (session.account, *host, scope["raw_path"], zips, *query)
        return Request(session, seen, key)

    def _response(self, request: Request) -> Response:
        response = self._responses.setdefault(request.key, Response())
        self._responses.move_to_end(request.key)
        if len(self._responses) > MAX_RESPONSES:
            self._responses.popitem(last=False)
        return response

    def _forget(self, request: Request, response: Response) -> None:
        """Drop a response that is no shared part."""
        if self._responses.get(request.key) is response:
            del self._responses[request.key]


async def _lead(
    response: Response, application: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let the application answer, and keep its response."""
    reading = response.reading = asyncio.get_running_loop().create_future()
    start: Message = {"status": 0}
    body = bytearray()
    offers: list[Offer] = []
    scope[OFFERS] = offers

    async def keep(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        elif offers:
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                # The others need not wait until the client has read it.
                response.take(offers[0], start, bytes(body))
                _end_reading(response, reading)
        await send(message)

    try:
        await application(scope, receive, keep)
    finally:
        # Without an offer, as after an error or for a session that has ended, another one reads it.
        _end_reading(response, reading)


def _end_reading(response: Response, reading: asyncio.Future[None]) -> None:
    """Wake the requests that wait; the next reading may have begun."""
    if not reading.done():
        reading.set_result(None)
    if response.reading is reading:
        response.reading = None


shared_responses = SharedResponses(hub, open_sessions)


def share_responses(application: Application) -> Application:
    """Return the application of Django with shared responses."""

    async def sharing(scope: Scope, receive: Receive, send: Send) -> None:
        await shared_responses.serve(application, scope, receive, send)

    return sharing
