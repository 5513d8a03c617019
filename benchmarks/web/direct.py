"""The baseline: direct calls of Django's WSGI application, in one thread, without a server."""

from __future__ import annotations

import os
import time

import django

from benchmarks import wsgi
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
        wsgi.call(application, "GET", path, key)
    start = time.process_time()
    for _ in range(count):
        wsgi.call(application, "GET", path, key)
    return (time.process_time() - start) / count


if __name__ == "__main__":
    main()
