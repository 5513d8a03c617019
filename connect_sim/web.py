"""The web server: uvicorn, with Django in threads and ASGI endpoints beside it.

A validation waits for somebody else's program, thirty seconds or more. Among the ordinary threads
a few of them would stop the API for everybody, so they have threads of their own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from django.conf import settings

from connect_sim import asgi
from connect_sim.server import sockets
from connect_sim.server.connections import Connections, Limits
from connect_sim.server.django_app import DjangoApplication, Wsgi
from connect_sim.server.protocol import Connection
from connect_sim.server.proxies import TrustedProxies
from webhooks.delivery import event_loops, validator_client

logger = logging.getLogger(__name__)

# Seconds that requests in flight get at a stop.
GRACE = 3


class PortTaken(Exception):
    """The address of SIM_BIND can't be bound; the text says which and why."""


class NotStarted(Exception):
    """The server ended before it served a request; the log says why."""


class Web:
    """A server that is bound to SIM_BIND; `start` it, wait, `stop` it. Raises PortTaken."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        event_loops.raise_file_limit()
        self._sockets = _bind()
        self._server = _Server(wsgi, threads)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving; raises NotStarted."""
        validator_client.start()
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            raise NotStarted

    def stop(self) -> None:
        """Take no new requests; those in flight get a few seconds."""
        self._server.should_exit = True
        # Those who wait for a validator are told that it stops.
        validator_client.stop()
        self._thread.join(GRACE + 2)

    def is_running(self) -> bool:
        """Return whether the server's thread lives."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                runner.run(self._server.serve(self._sockets))
        except SystemExit:
            # uvicorn's way to say that the start has failed, which it has logged.
            pass
        finally:
            self._server.ready.set()


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready, and takes no signals outside the main thread."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        connections = Connections(Limits.from_settings(threads))
        django = DjangoApplication(wsgi, threads)
        application = asgi.Composition(
            django,
            TrustedProxies(settings.SIM_TRUSTED_PROXY),
            asgi.registered_routes(),
            [connections.running, partial(_stopping, django), *asgi.registered_lifespans()],
        )
        config = uvicorn.Config(
            application,
            http=partial(Connection, connections=connections),  # type: ignore[arg-type]
            interface="asgi3",
            lifespan="on",
            log_config=None,
            # A query may hold a secret.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def _stopping(django: DjangoApplication) -> AsyncIterator[None]:
    try:
        yield
    finally:
        django.stop()


def _bind() -> list[socket.socket]:
    try:
        return sockets.listen(settings.SIM_BIND)
    except (OSError, ValueError) as error:
        reason: Any = error.args[-1] if error.args else error
        raise PortTaken(
            f"{settings.SIM_BIND} can't be bound ({reason}). "
            f"Stop what listens there, or choose another address with SIM_BIND=127.0.0.1:8001."
        ) from None
