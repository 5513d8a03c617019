"""The web server: waitress, with threads of their own for calls that wait for a handler.

A validation waits for somebody else's program, thirty seconds or more. Among the ordinary threads
a few of them would stop the API for everybody.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import connections
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from webhooks import caller, loops

logger = logging.getLogger(__name__)

# Most of them wait for a handler, or for their client's next call.
CONNECTIONS = 1000


class Web:
    """A server that is bound to SIM_BIND; `start` it, wait, `stop` it.

    Raises OSError or ValueError where SIM_BIND can't be bound.
    """

    def __init__(self, wsgi: Any, threads: int) -> None:
        self._server = _create(wsgi, threads)
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving."""
        caller.start()
        self._thread.start()

    def stop(self) -> None:
        """Take no new calls; those under way get a few seconds."""
        self._server.close()
        # Those who wait for a validator are told that it stops.
        caller.stop()
        self._thread.join(3)
        self._server.task_dispatcher.shutdown(timeout=3)


def _create(wsgi: Any, threads: int) -> Any:
    loops.raise_file_limit()
    lanes = Lanes(settings.SIM_VALIDATIONS)
    server = create_server(
        wsgi,
        _dispatcher=lanes,
        listen=settings.SIM_BIND,
        threads=threads,
        connection_limit=CONNECTIONS,
        # The engine's calls may be in this process, and `select` can't look beyond 1,024 files.
        asyncore_use_poll=True,
        ident=None,
        channel_timeout=60,
        clear_untrusted_proxy_headers=True,
    )
    lanes.set_thread_count(threads)
    return server


class Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Waitress's threads, and a lane of others, started as they are needed, for what waits."""

    def __init__(self, waiting: int) -> None:
        super().__init__()
        self._waiting = ThreadPoolExecutor(waiting, thread_name_prefix="waits-for-handler")

    def add_task(self, task: Any) -> None:
        """Serve a connection's next request, in the lane that is its own."""
        if not waits(getattr(task.requests[0], "path", "")):
            super().add_task(task)
            return
        try:
            self._waiting.submit(_serve, task)
        except RuntimeError:
            # Shut down already.
            task.cancel()

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop the threads; the lane's end with the calls that they wait for."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        stopped: bool = super().shutdown(cancel_pending, timeout)
        return stopped


def waits(path: str) -> bool:
    """Whether a call of this path may wait for a handler: a validation, an inquiring form."""
    return path.startswith("/forms/") or path.rstrip("/").endswith("/validate")


def _serve(task: Any) -> None:
    try:
        task.service()
    except BaseException:
        logger.exception("A call could not be served.")
    finally:
        # A thread of the lane may be idle for hours, and PostgreSQL counts its connections.
        connections.close_all()
