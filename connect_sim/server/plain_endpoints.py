"""Small ASGI endpoints beside Django: no thread, no Host check, no redirect; GET and HEAD only."""

from __future__ import annotations

import json
from typing import Any

from connect_sim.server import Application, Receive, Scope, Send


async def serve(
    path: str, endpoint: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve GET and HEAD of this path; the router passes the paths below it too."""
    if scope["path"] not in (path, f"{path}/"):
        content = {"error_code": "NFND_000", "errors": ["Unknown path."]}
        await respond(scope, send, 404, content)
    elif scope["method"] not in ("GET", "HEAD"):
        content = {"error_code": "REQ_405", "errors": ["Only GET and HEAD are allowed."]}
        await respond(scope, send, 405, content, (b"allow", b"GET, HEAD"))
    else:
        await endpoint(scope, receive, send)


async def respond(
    scope: Scope,
    send: Send,
    status: int,
    content: Any,
    *more: tuple[bytes, bytes],
    content_type: bytes = b"application/json",
) -> None:
    """Send a response that nobody stores; `content` is bytes, or becomes JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
