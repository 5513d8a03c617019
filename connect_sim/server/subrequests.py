"""Requests of the server to itself, on behalf of the client of another request.

They pass through the whole application, middleware included, as if the client had sent them on the
same connection: by the same host name and with the same API key.
"""

from __future__ import annotations

import asyncio
from functools import partial

from connect_sim.server import Message, Scope, paths
from connect_sim.server.deferred import ClientLeft, Send
from connect_sim.server.protocol import CONNECTION, Connection

_KEPT = (b"host", b"authorization")
# The event loop has no strong references to tasks.
_tasks: set[asyncio.Future[None]] = set()


def sender(scope: Scope) -> Send:
    """Return the function that sends requests of the client of a request."""
    return partial(_send, scope)


async def _send(scope: Scope, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    """Send a request with a JSON body, and return the response; raises ClientLeft."""
    connection: Connection = scope["extensions"][CONNECTION]
    target_path, _, query = target.partition("?")
    raw_path, path = paths.normalize(target_path.encode())
    headers = [pair for pair in scope["headers"] if pair[0] in _KEPT]
    if body:
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
    status, pieces, requests, left = 0, list[bytes](), [body], asyncio.Event()

    async def receive() -> Message:
        if requests:
            return {"type": "http.request", "body": requests.pop(), "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        pieces.append(message.get("body", b""))

    inner = {
        **scope,
        "method": method,
        "path": path,
        "raw_path": raw_path,
        "query_string": query.encode(),
        "headers": headers,
    }
    task = asyncio.ensure_future(connection.app(inner, receive, send))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    try:
        # If the outer request is cancelled, the client of this one has left. It is not cancelled
        # itself: its view may be about to begin a wait in a thread, which it has to end.
        await asyncio.shield(task)
    finally:
        left.set()
    if not status:
        raise ClientLeft
    return status, b"".join(pieces)
