"""`python -m benchmarks.served MODULE`: run functions of a module as standard input asks for them.

Also in the environment of django-webhook, which has neither our packages nor those of the tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def serve(
    commands: Mapping[str, Callable[..., Any]], loop: asyncio.AbstractEventLoop | None = None
) -> None:
    """Run commands from stdin, one JSON line each, until SIGTERM or the end of the input.

    Coroutines run in the loop.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        result = commands[name](**arguments)
        if loop is not None and asyncio.iscoroutine(result):
            result = asyncio.run_coroutine_threadsafe(result, loop).result()
        print(json.dumps(result), flush=True)


def main(name: str) -> None:
    """Serve the functions of a module, with Django if its settings are chosen."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
        from django.conf import settings

        # The server process of a connection must last as long as its thread.
        settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    module = import_module(name)
    # A module may choose its event loop.
    loop = getattr(module, "new_event_loop", asyncio.new_event_loop)()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    serve(vars(module), loop)


if __name__ == "__main__":
    main(sys.argv[1])
