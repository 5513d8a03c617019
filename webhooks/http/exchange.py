"""How a request is written to a connection of aiohttp's pool. No ORM, no Django.

aiohttp's client session isn't used: until the response arrives, it keeps 8 KiB of objects and
coroutines that a request needs only to be sent, and requests may hang by the thousand.
"""

from __future__ import annotations

import asyncio
import re
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from webhooks.http import http_errors
from webhooks.http.headers import FRAMING, HeaderRefused, check_written
from webhooks.http.messages import Request, RequestFailed
from webhooks.http.transmission import transmit, write

READ_SIZE = 65536
# One deadline for everything is the caller's: aiohttp's are per socket operation, and rounded up.
NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# For readers who may not see the webhook's own headers.
_PUBLIC_MESSAGE = "The webhook has a header that cannot be sent."
# For the deliveries of a claim, which share their request. Weak: it has the token, and nothing but
# the claim may keep it.
_prepared: WeakKeyDictionary[Request, aiohttp.ClientRequest] = WeakKeyDictionary()


def prepare(request: Request, url: URL, proxy: URL | None) -> aiohttp.ClientRequest:
    """Return what a connector needs to open a connection, with headers; raises RequestFailed."""
    prepared = _prepared.get(request)
    if prepared is None:
        prepared = _prepared[request] = _prepare(request, url, proxy)
    return prepared


def _prepare(request: Request, url: URL, proxy: URL | None) -> aiohttp.ClientRequest:
    prepared = aiohttp.ClientRequest(
        request.method,
        url,
        headers=_headers(request),
        # The caller sets it; aiohttp would send its own name.
        skip_auto_headers=("User-Agent",),
        loop=asyncio.get_running_loop(),
        proxy=proxy,
    )
    body = _body(request)
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    if body is not None or prepared.method in prepared.POST_METHODS:
        prepared.headers.setdefault("Content-Type", "application/octet-stream")
    return prepared


def send(
    protocol: ResponseHandler, prepared: aiohttp.ClientRequest, request: Request, *, last: bool
) -> asyncio.Task[None] | None:
    """Send the request; return the task that does so, if it isn't sent at once.

    It is the `last` one if the connection is closed after it. Raises ClientConnectionError.
    """
    protocol.set_response_params(
        skip_payload=prepared.method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        read_bufsize=READ_SIZE,
    )
    # Only now: for a proxy, the connector has added a header.
    head, body = _head(prepared, last=last), _body(request)
    if request.transmission is not None:
        coroutine = transmit(protocol, head, body or b"", request.transmission)
        return asyncio.get_running_loop().create_task(coroutine)
    write(protocol, head, body)
    return None


def _body(request: Request) -> bytes | None:
    return request.body if request.transmission is None else request.body or b""


def _headers(request: Request) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        try:
            check_written(name, value)
        except HeaderRefused as exc:
            raise _refused(str(exc)) from None
        if name.lower() in FRAMING:
            raise _refused(f"The header {name} is reserved for the connection and cannot be set.")
        headers[name] = value
    headers["Accept-Encoding"] = "identity"
    return headers


def _refused(message: str) -> RequestFailed:
    return RequestFailed(message, error_class=http_errors.REQUEST, public_message=_PUBLIC_MESSAGE)


def _head(prepared: aiohttp.ClientRequest, *, last: bool) -> bytes:
    """Return the request line and the headers; raises ValueError for a control character."""
    # A proxy that doesn't tunnel the connection needs the whole URL.
    is_forwarded = prepared.proxy is not None and not prepared.is_ssl()
    path = str(prepared.url) if is_forwarded else prepared.url.raw_path_qs
    lines = [f"{prepared.method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in prepared.headers.items()]
    if last:
        lines.append("Connection: close")
    if _CONTROL.search("".join(lines)):
        raise ValueError("A control character would split the request in two.")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
