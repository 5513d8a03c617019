"""HTTP client for the API of the running sandbox, used by the commands; knows no Django."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

PAGE = 100
# Marks calls of commands and tests, so that they are not recorded as a handler's.
ACTOR_HEADER, TEST_ACTOR = "X-Sandbox-Actor", "test"


def accepts_connections(url: str) -> bool:
    """Return whether the host and port of a URL accept connections."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=0.5).close()
    except OSError:
        return False
    return True


class ApiError(Exception):
    """The API returned an error; the text is a sentence, `content` the decoded body."""

    def __init__(self, text: str, status: int = 0, content: Any = None) -> None:
        super().__init__(text)
        self.status, self.content = status, content


class Unreachable(ApiError):
    """Nothing answers at the sandbox's URL, or something else does."""


class Client:
    """Client with one API key; `base` is the server's root URL or its `/public/v1`.

    Its calls are those of a tester, unless it `acts_as_handler`. Each call has a connection of its
    own, so threads can share a client. Proxies of the environment are not used.
    """

    def __init__(self, base: str, key: str, *, acts_as_handler: bool = False) -> None:
        self._root = base.rstrip("/").removesuffix("/public/v1")
        self._headers = {
            "Authorization": f"ApiKey {key.removeprefix('ApiKey ')}",
            "Content-Type": "application/json",
        }
        if not acts_as_handler:
            self._headers[ACTOR_HEADER] = TEST_ACTOR

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30) -> Any:
        """Return the decoded response, None if it is empty; raises ApiError."""
        status, reason, data = self._request(method, path, body, timeout)
        try:
            content = json.loads(data) if data else None
        except ValueError:
            if status < 400:
                raise Unreachable(f"The server at {self._root} is not a sandbox.") from None
            content = None
        if status >= 400:
            text = f"{method} {path.partition('?')[0]}: {status} {_error_text(content, reason)}"
            raise ApiError(text, status, content)
        return content

    def pages(self, path: str, query: str) -> Iterator[Any]:
        """Yield the objects of a list, page by page."""
        offset = 0
        while True:
            page = self.call("GET", f"{path}?{query}&limit={PAGE}&offset={offset}")
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _request(self, method: str, path: str, body: Any, timeout: float) -> tuple[int, str, bytes]:
        """Return status, reason and body of the response; raises Unreachable."""
        try:
            parts = urlsplit(self._root)
            is_tls = parts.scheme == "https"
            connect = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
            connection = connect(parts.hostname or "", parts.port, timeout=timeout)
            try:
                data = None if body is None else json.dumps(body).encode()
                connection.request(method, f"{parts.path}{path}", data, self._headers)
                response = connection.getresponse()
                return response.status, response.reason, response.read()
            finally:
                connection.close()
        except TimeoutError:
            raise Unreachable(f"{self._root} did not answer within {timeout:g} s.") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise Unreachable(
                f"Cannot connect to {self._root} ({reason}). Is the sandbox running?"
            ) from None


def _error_text(content: Any, reason: str) -> str:
    try:
        return " ".join(content["errors"])
    except (KeyError, TypeError):
        return reason
