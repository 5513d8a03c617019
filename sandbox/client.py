"""A caller of the running sandbox's API, for the commands: what a handler would do, by requests."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

PAGE = 100


def accepts_connections(url: str) -> bool:
    """Return whether something listens at the host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=0.5).close()
    except OSError:
        return False
    return True


class ApiError(Exception):
    """The API could not be reached, or refused; the text is a sentence."""


class Client:
    """Connect's API under one key; `base` is the server's root or its `/public/v1`."""

    def __init__(self, base: str, key: str) -> None:
        self._root = base.rstrip("/").removesuffix("/public/v1")
        self._session = requests.Session()
        # No proxy or netrc of the environment for calls on this machine.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"ApiKey {key.removeprefix('ApiKey ')}"

    def call(self, method: str, path: str, body: Any = None, timeout: float = 30) -> Any:
        """Return the decoded answer, None for an empty one; raises ApiError."""
        url = f"{self._root}{path}"
        try:
            answer = self._session.request(method, url, json=body, timeout=timeout)
        except requests.RequestException as error:
            raise ApiError(
                f"{self._root} can't be reached ({type(error).__name__}): is the sandbox running?"
            ) from None
        if answer.status_code >= 400:
            raise ApiError(f"{method} {path}: {answer.status_code} {_said(answer)}")
        return answer.json() if answer.content else None

    def pages(self, path: str, query: str) -> Iterator[Any]:
        """Yield the objects of a list, page by page."""
        offset = 0
        while True:
            page = self.call("GET", f"{path}?{query}&limit={PAGE}&offset={offset}")
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE


def _said(answer: requests.Response) -> str:
    try:
        return " ".join(answer.json()["errors"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
