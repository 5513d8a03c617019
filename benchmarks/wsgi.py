"""Direct calls of Django's WSGI application, without a server."""

from __future__ import annotations

import io
import sys
from typing import Any


def call(
    application: Any, method: str, path: str, key: str, query: str = "", body: bytes = b""
) -> bytes:
    """Return the body of a response; raise RuntimeError unless its status is 200 or 201."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": f"ApiKey {key}",
        "HTTP_USER_AGENT": "benchmark",
        "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    status: list[str] = []
    response = application(environ, lambda text, headers, error=None: status.append(text))
    content = b"".join(response)
    response.close()
    if status[0][:3] not in ("200", "201"):
        raise RuntimeError(f"{method} {path}?{query}: {status} {content[:300]!r}")
    return content
