"""A small HTTP client of the sandbox's API, with one API key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]

# Marks calls of tests: the sandbox does not take them for a handler's.
_HEADERS = {"X-Sandbox-Actor": "test"}
TIMEOUT = 60.0  # seconds
PAGE = 100


class ApiError(Exception):
    """The API refused a call: `path`, `status`, `error_code`, `errors`, the decoded `body`."""

    def __init__(self, method: str, path: str, status: int, body: Any, text: str) -> None:
        self.path, self.status, self.body = path, status, body
        content = body if isinstance(body, dict) else {}
        self.error_code: str = str(content.get("error_code", ""))
        errors = content.get("errors")
        self.errors: list[str] = [str(each) for each in errors] if isinstance(errors, list) else []
        reason = " ".join(self.errors) or text[:300]
        super().__init__(f"{method} {path}: {status} {self.error_code} {reason}".rstrip())


class Unreachable(Exception):
    """The sandbox does not answer."""


class Client:
    """Calls paths below a root URL; the repr shows no key.

    Proxies and `.netrc` files of the environment are not used.
    """

    def __init__(self, root: str, key: str) -> None:
        self.root = root.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(_HEADERS)
        self._session.headers["Authorization"] = f"ApiKey {_bare(key)}"

    def __repr__(self) -> str:
        return f"Client({self.root!r})"

    def at(self, path: str) -> Client:
        """Return a client of the paths below this path, which shares the connections."""
        client = Client.__new__(Client)
        client.root, client._session = f"{self.root}{path}", self._session
        return client

    def get(self, path: str, **query: Any) -> Any:
        """Return the decoded response of a GET; `query` without None."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Any:
        """Return the decoded response of a POST."""
        return self.call("POST", path, {} if body is None else body)

    def put(self, path: str, body: Any = None) -> Any:
        """Return the decoded response of a PUT."""
        return self.call("PUT", path, {} if body is None else body)

    def delete(self, path: str) -> Any:
        """Return the decoded response of a DELETE, None without one."""
        return self.call("DELETE", path)

    def upload(self, path: str, field: str, name: str, content: bytes) -> Any:
        """Return the decoded response of a POST of a form with one file."""
        return self._decoded("POST", path, self._send("POST", path, files={field: (name, content)}))

    def download(self, path: str, body: Any) -> bytes:
        """Return the file that answers a POST; raises ApiError, Unreachable."""
        response = self._send("POST", path, json=body)
        if not response.ok:
            self._decoded("POST", path, response)
        return response.content

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Return the decoded response, None if it is empty; raises ApiError, Unreachable."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        response = self._send(method, path, json=body, params=params, timeout=timeout)
        return self._decoded(method, path, response)

    def pages(self, path: str, query: str = "") -> Iterator[Any]:
        """Yield the objects of a list of Connect's API, page by page; `query` is in RQL."""
        offset = 0
        while True:
            terms = [term for term in (query, f"limit={PAGE}", f"offset={offset}") if term]
            page = self.call("GET", f"{path}?{'&'.join(terms)}")
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", TIMEOUT)
        try:
            return self._session.request(method, f"{self.root}{path}", **options)
        except requests.RequestException as error:
            raise Unreachable(
                f"The sandbox at {self.root} does not answer ({type(error).__name__})."
            ) from None

    def _decoded(self, method: str, path: str, response: requests.Response) -> Any:
        try:
            content = response.json() if response.content else None
        except ValueError:
            content = None
            if response.ok:
                raise Unreachable(f"The server at {self.root} is not a sandbox.") from None
        if not response.ok:
            shown = path.partition("?")[0]
            raise ApiError(method, shown, response.status_code, content, response.text)
        return content


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def _bare(key: str) -> str:
    key = key.strip()
    return key[len("ApiKey ") :].strip() if key.startswith("ApiKey ") else key
