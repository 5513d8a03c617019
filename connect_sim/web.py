"""The web server: waitress, with threads of their own for calls that wait for a handler.

A validation waits for somebody else's program, thirty seconds or more. Among the ordinary threads
a few of them would stop the API for everybody.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connections
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher
from waitress.trigger import trigger
from waitress.wasyncore import dispatcher

from webhooks import caller, loops

logger = logging.getLogger(__name__)

# Most of them wait for a handler, or for their client's next call.
CONNECTIONS = 1000


class Web:
    """A server that is bound to SIM_BIND; `start` it, wait, `stop` it.

    Raises OSError or ValueError where SIM_BIND can't be bound.
    """

    def __init__(self, wsgi: Any, threads: int) -> None:
        self._server = create(wsgi, threads)
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving."""
        caller.start()
        self._thread.start()

    def stop(self) -> None:
        """Take no new calls; those under way get a few seconds."""
        close(self._server)
        # Those who wait for a validator are told that it stops.
        caller.stop()
        end(self._server, 3)
        self._thread.join(3)


def create(wsgi: Any, threads: int) -> Any:
    """Return a server that is bound to SIM_BIND; `run` it. Raises OSError or ValueError."""
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


def close(server: Any) -> None:
    """Take no more connections; calls under way go on."""
    # One for each address that SIM_BIND means.
    for listener in _those(server, BaseWSGIServer):
        # In the loop's own thread, which may be looking at its sockets just now.
        listener.trigger.pull_trigger(partial(dispatcher.close, listener))


def end(server: Any, timeout: float) -> None:
    """End the server's threads and then its loop; the calls that they wait for have ended."""
    server.task_dispatcher.shutdown(timeout=timeout)
    server.task_dispatcher.finish(timeout)
    # Not by waitress's `close`, which lets go of the pipe that wakes its loop: a thread that is
    # late writes to the pipe's number all the same, and by then that may be the database's file.
    for wakes in _those(server, trigger):
        wakes.pull_trigger(_map(server).clear)


def _those(server: Any, kind: type[Any]) -> list[Any]:
    """Return what the server's loop has of a kind."""
    return [each for each in list(_map(server).values()) if isinstance(each, kind)]


def _map(server: Any) -> dict[int, Any]:
    found: dict[int, Any] = server._map if isinstance(server, BaseWSGIServer) else server.map
    return found


class Lanes(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Waitress's threads, and a lane of others, started as they are needed, for what waits."""

    def __init__(self, waiting: int) -> None:
        super().__init__()
        self._waiting = ThreadPoolExecutor(waiting, thread_name_prefix="waits-for-handler")
        self._under_way: set[Future[None]] = set()

    def add_task(self, task: Any) -> None:
        """Serve a connection's next request, in the lane that is its own."""
        if not waits(getattr(task.requests[0], "path", "")):
            super().add_task(task)
            return
        try:
            call = self._waiting.submit(_serve, task)
        except RuntimeError:
            # Shut down already.
            task.cancel()
            return
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Stop the threads; the lane's end with the calls that they wait for."""
        self._waiting.shutdown(wait=False, cancel_futures=True)
        stopped: bool = super().shutdown(cancel_pending, timeout)
        return stopped

    def finish(self, timeout: float) -> None:
        """Wait until the lane's calls under way are answered."""
        wait(self._under_way.copy(), timeout)


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
