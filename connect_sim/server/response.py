"""Responses: what a WSGI application returns, complete, and the server's own errors."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any

from django.conf import settings

from connect_sim.server.paths import is_api
from requests_queue.api import fast_json

logger = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]

# Bytes of a response that are kept in memory; a larger one is in a temporary file.
MAX_IN_MEMORY = 4 * 1024 * 1024
_WITHOUT_BODY = (204, 304)


class Failed(Exception):
    """The application raised an exception, which has been logged."""


class Response:
    """A complete response, so that no thread waits for its client."""

    def __init__(self, status: int = 0, content_type: bytes = b"", body: bytes = b"") -> None:
        self.status = status
        self.headers = [(b"content-type", content_type)]
        self.body: IO[bytes] = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115
        self.body.write(body)

    def run(self, application: Wsgi, environ: dict[str, Any]) -> None:
        """Run a WSGI application; after an exception, which is logged, the status is 0."""
        try:
            chunks = application(environ, self._start)
            try:
                for chunk in chunks:
                    self.body.write(chunk)
            finally:
                if close := getattr(chunks, "close", None):
                    close()
        except BaseException:
            self.status = 0
            # Without the query, which may contain secrets.
            path = environ["PATH_INFO"].encode("unicode_escape").decode()
            logger.exception("%s %s failed.", environ["REQUEST_METHOD"], path)

    def replaced(self, status: int, content_type: str, body: bytes) -> Response:
        """Return a response with the other headers of this one."""
        self.body.close()
        response = Response(status, content_type.encode("latin-1"), body)
        response.headers += [
            pair
            for pair in self.headers
            if pair[0].lower() not in (b"content-type", b"content-length")
        ]
        return response

    def set_header(self, name: bytes, value: bytes | None) -> None:
        """Replace a header, or remove it."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name]
        if value is not None:
            self.headers.append((name, value))

    def rewind(self) -> int:
        """Complete the headers, and return how many bytes the body has, from its beginning."""
        size = self.body.tell()
        self.body.seek(0)
        if self.status in _WITHOUT_BODY:
            self.set_header(b"content-length", None)
            return 0
        lengths = [int(value) for name, value in self.headers if name.lower() == b"content-length"]
        if not lengths:
            self.set_header(b"content-length", str(size).encode())
        return min([size, *lengths])

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        self.headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        return self.body.write


def error(path: str, status: int, code: str, text: str) -> Response:
    """Return an error after which the connection is closed."""
    headers, body = error_parts(path, code, text)
    response = Response(status, body=body)
    response.headers = [*headers, (b"connection", b"close")]
    return response


def error_parts(path: str, code: str, text: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of an error: the envelope of an API, or plain text."""
    if not is_api(path):
        return [(b"content-type", b"text/plain; charset=utf-8")], text.encode()
    version = settings.SIM_CONNECT_VERSION.encode()
    headers = [(b"content-type", b"application/json"), (b"connect-version", version)]
    return headers, fast_json.encode(error_body(path, code, [text]))


def error_body(path: str, code: str, errors: Sequence[str]) -> dict[str, Any]:
    """Return the body of an error of an API: Connect's, and advice for a path of the sandbox."""
    body = {"error_code": code, "errors": [*errors]}
    if settings.SANDBOX:
        # The server profile loads nothing of the sandbox.
        from sandbox import error_codes

        body |= error_codes.of_path(path, code)
    return body
