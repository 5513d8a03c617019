"""The web server: uvicorn, with Django in thread pools and ASGI endpoints."""

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

# Seconds for requests in flight at a stop.
GRACE = 3


class PortTaken(Exception):
    """An address of SIM_BIND cannot be bound; the text says which and why."""


class NotStarted(Exception):
    """The server ended before it was ready; the log says why."""


class Web:
    """A server bound to SIM_BIND; raises PortTaken."""

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
        """Accept no new requests, and wait a few seconds for those in flight."""
        self._server.should_exit = True
        # Validations in flight fail, so that their requests can end.
        validator_client.stop()
        self._thread.join(GRACE + 2)

    def is_running(self) -> bool:
        """Return whether the server's thread is alive."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                runner.run(self._server.serve(self._sockets))
        except SystemExit:
            # uvicorn raises it if the start fails, and logs the reason.
            pass
        finally:
            self._server.ready.set()


class _Server(uvicorn.Server):
    """uvicorn with an event that is set when it is ready."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        connections = Connections(Limits.from_settings(threads))
        django = DjangoApplication(wsgi, threads)
        application = asgi.Router(
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
            # A query may contain a secret.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set the event."""
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
            f"Cannot bind {settings.SIM_BIND} ({reason}). "
            f"Stop the program that uses it, or set another address: SIM_BIND=127.0.0.1:8001."
        ) from None
