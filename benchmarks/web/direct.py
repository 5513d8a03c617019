"""The baseline: direct calls of Django's WSGI application, in one thread, without a server."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Any

import django

from benchmarks.processes import serve


def main() -> None:
    """Serve commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    serve({"calls": calls})


def calls(path: str, key: str, count: int) -> float:
    """Return the CPU seconds of one call."""
    from connect_sim.wsgi import application

    for _ in range(count // 10):
        _call(application, path, key)
    start = time.process_time()
    for _ in range(count):
        _call(application, path, key)
    return (time.process_time() - start) / count


def _call(application: Any, path: str, key: str) -> None:
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost", "HTTP_AUTHORIZATION": f"ApiKey {key}", "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    response = application(environ, lambda status, headers, *more: statuses.append(status))
    b"".join(response)
    response.close()
    if statuses != ["200 OK"]:
        raise SystemExit(f"{path} returned {statuses}")


if __name__ == "__main__":
    main()
