"""A small client of Connect's API, which starts faster than one with more packages."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 30


class ApiError(Exception):
    """The API refused a call (4xx), or failed; the status is 0 without a complete response."""

    def __init__(self, text: str, status: int = 0, retry_after: int = 0) -> None:
        super().__init__(text)
        self.status, self.retry_after = status, retry_after

    @property
    def is_refusal(self) -> bool:
        """Return whether the same call would be refused again."""
        return 400 <= self.status < 500 and self.status != 429


class Api:
    """Connect's API; each call has a connection of its own."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = urlsplit(url), key

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def post(self, path: str, body: Any) -> Any:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded response; raises ApiError."""
        headers = {"Authorization": self._key, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        host, port = self._url.hostname or "", self._url.port
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        try:
            connection.request(method, self._url.path + path, content, headers)
            response = connection.getresponse()
            text, seconds = response.read(), response.getheader("Retry-After", "")
            if response.status >= 400:
                raise ApiError(
                    f"{method} {path}: {response.status} {text[:200]!r}",
                    response.status,
                    int(seconds) if seconds.isdecimal() else 0,
                )
            return json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
