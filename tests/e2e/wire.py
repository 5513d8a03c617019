"""Requests to a sandbox as raw bytes on a socket, without a client library."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from tests.processes import Sandbox


@dataclass
class Response:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[str]:
        assert self.status == 200, self.body
        return [row["id"] for row in self.json]


def send(
    running: Sandbox,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    key: str = "",
    host: str = "",
    **headers: str | None,
) -> Response:
    """Send a request with exactly these headers (`Content_Type="…"`; None: not sent)."""
    address = urlsplit(running.url)
    sent: dict[str, str | None] = {
        "Host": host or address.netloc,
        "Authorization": f"ApiKey {key or running.vendor_key}",
        "Content-Length": str(len(body)) if body or method in ("POST", "PUT") else None,
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value is not None)
    with socket.create_connection((address.hostname, address.port), timeout=30) as line:
        line.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        response = HTTPResponse(line, method=method)
        response.begin()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())


def get(running: Sandbox, target: str, **options: Any) -> Response:
    return send(running, "GET", f"/public/v1{target}", **options)


def post(running: Sandbox, target: str, body: Any = None, **options: Any) -> Response:
    """POST an object as JSON, bytes unchanged, None as an empty body."""
    return _with_body(running, "POST", target, body, options)


def put(running: Sandbox, target: str, body: Any = None, **options: Any) -> Response:
    return _with_body(running, "PUT", target, body, options)


def _with_body(
    running: Sandbox, method: str, target: str, body: Any, options: dict[str, Any]
) -> Response:
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        options.setdefault("Content_Type", "application/json")
    return send(running, method, f"/public/v1{target}", body or b"", **options)
