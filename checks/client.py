"""HTTP client for the API of the running sandbox, used by the commands; knows no Django."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PAGE = 100
_JSON = "application/json"
# Marks calls of commands and tests, so that they are not recorded as a handler's.
ACTOR_HEADER, TEST_ACTOR = "X-Sandbox-Actor", "test"


def accepts_connections(url: str) -> bool:
    """Return whether the host and port of a URL accept connections."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=1).close()
    except OSError:
        return False
    return True


def connect(url: str, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to a URL's host, which is opened by its first request; no proxy."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def target(url: str) -> str:
    """Return path and query of a URL, as a request has them."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


class ApiError(Exception):
    """The API returned an error; the text is a sentence, `content` the decoded body."""

    def __init__(self, text: str, status: int = 0, content: Any = None) -> None:
        super().__init__(text)
        self.status, self.content = status, content


class Unreachable(ApiError):
    """Nothing answers at the sandbox's URL, or something else does."""


class NoAnswer(Unreachable):
    """There was no complete response in time: the request may have been done."""


class NotASandbox(Unreachable):
    """Something else answers at the sandbox's URL."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form; a file where it has a name."""

    field: str
    content: bytes
    file_name: str = ""

    def encoded(self, boundary: str) -> bytes:
        """Return the part in a body of `multipart/form-data`."""
        # Escaped as HTML defines it.
        name = re.sub(r'[\r\n"]', lambda found: f"%{ord(found[0]):02X}", self.file_name)
        file = f'; filename="{name}"' if name else ""
        disposition = f'Content-Disposition: form-data; name="{self.field}"{file}'
        return f"--{boundary}\r\n{disposition}\r\n\r\n".encode() + self.content + b"\r\n"


class Client:
    """Client with one API key; `base` is the server's root URL or its `/public/v1`.

    Its calls are those of a tester, unless it `acts_as_handler`. Each call has a connection of its
    own, so threads can share a client. Proxies of the environment are not used.
    """

    def __init__(self, base: str, key: str, *, acts_as_handler: bool = False) -> None:
        self._root = base.rstrip("/").removesuffix("/public/v1")
        self._headers = {"Authorization": f"ApiKey {key.removeprefix('ApiKey ')}"}
        if not acts_as_handler:
            self._headers[ACTOR_HEADER] = TEST_ACTOR

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30) -> Any:
        """Return the decoded response, None if it is empty; raises ApiError."""
        data = None if body is None else json.dumps(body).encode()
        return self._decoded(method, path, data, timeout, _JSON)

    def upload(self, path: str, form: Iterable[Part], timeout: float = 120) -> Any:
        """POST a form and return the decoded response; raises ApiError."""
        boundary = secrets.token_hex(16)
        data = b"".join(each.encoded(boundary) for each in form) + f"--{boundary}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={boundary}"
        return self._decoded("POST", path, data, timeout, content_type)

    def download(self, path: str, timeout: float = 120, *, body: Any = None) -> bytes:
        """Return the file at a path, or that answers a POST of a body; raises ApiError."""
        data = None if body is None else json.dumps(body).encode()
        return self._request("POST" if data else "GET", path, data, timeout, _JSON)

    def _decoded(
        self, method: str, path: str, body: bytes | None, timeout: float, content_type: str
    ) -> Any:
        data = self._request(method, path, body, timeout, content_type)
        try:
            return json.loads(data) if data else None
        except ValueError:
            raise NotASandbox(f"The server at {self._root} is not a sandbox.") from None

    def pages(self, path: str, query: str) -> Iterator[Any]:
        """Yield the objects of a list, page by page."""
        offset = 0
        while True:
            page = self.call("GET", f"{path}?{query}&limit={PAGE}&offset={offset}")
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _request(
        self, method: str, path: str, body: bytes | None, timeout: float, content_type: str
    ) -> bytes:
        """Return the body of the response; raises ApiError."""
        status, reason, data = self._send(method, path, body, timeout, content_type)
        if status < 400:
            return data
        try:
            content = json.loads(data) if data else None
        except ValueError:
            content = None
        text = f"{method} {path.partition('?')[0]}: {status} {_error_text(content, reason)}"
        raise ApiError(text, status, content)

    def _send(
        self, method: str, path: str, body: bytes | None, timeout: float, content_type: str
    ) -> tuple[int, str, bytes]:
        """Return status, reason and body of the response; raises Unreachable."""
        try:
            with closing(connect(self._root, timeout)) as connection:
                headers = {**self._headers, "Content-Type": content_type}
                connection.request(method, f"{urlsplit(self._root).path}{path}", body, headers)
                response = connection.getresponse()
                return response.status, response.reason, response.read()
        except TimeoutError:
            raise NoAnswer(f"{self._root} did not answer within {timeout:g} s.") from None
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
