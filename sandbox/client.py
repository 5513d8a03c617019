"""HTTP client for the API of the running sandbox, used by the commands."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from django.core.management import CommandError

PAGE = 100


def accepts_connections(url: str) -> bool:
    """Return whether the host and port of a URL accept connections."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=0.5).close()
    except OSError:
        return False
    return True


class ApiError(CommandError):
    """The API is unreachable or returned an error; the text is a sentence.

    A management command prints the text and exits with code 1.
    """


class Client:
    """Client with one API key; `base` is the server's root URL or its `/public/v1`."""

    def __init__(self, base: str, key: str) -> None:
        self._root = base.rstrip("/").removesuffix("/public/v1")
        self._session = requests.Session()
        # Requests on this machine must not use a proxy or netrc of the environment.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"ApiKey {key.removeprefix('ApiKey ')}"

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30) -> Any:
        """Return the decoded response, None if it is empty; raises ApiError."""
        url = f"{self._root}{path}"
        try:
            response = self._session.request(method, url, json=body, timeout=timeout)
        except requests.RequestException as error:
            raise ApiError(
                f"Cannot connect to {self._root} ({type(error).__name__}). Is the sandbox running?"
            ) from None
        if response.status_code >= 400:
            raise ApiError(f"{method} {path}: {response.status_code} {_error_text(response)}")
        return response.json() if response.content else None

    def pages(self, path: str, query: str) -> Iterator[Any]:
        """Yield the objects of a list, page by page."""
        offset = 0
        while True:
            page = self.call("GET", f"{path}?{query}&limit={PAGE}&offset={offset}")
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE


def _error_text(response: requests.Response) -> str:
    try:
        return " ".join(response.json()["errors"])
    except (ValueError, KeyError, TypeError):
        return response.reason
