"""The web server: uvicorn on SIM_BIND until a signal, with Django in thread pools."""

from __future__ import annotations

import asyncio
import logging
import os
import selectors
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from typing import Any

import uvicorn
from django.conf import settings

from connect_sim import asgi
from connect_sim.health import Health
from connect_sim.installation import StartError
from connect_sim.metrics.endpoint import MetricsEndpoint
from connect_sim.server.django_app import DjangoApplication
from connect_sim.server.listening import listen, with_port
from connect_sim.server.protocol import Connection
from connect_sim.server.proxies import TrustedProxies
from connect_sim.server.response import Wsgi
from extensions import certificate, tls
from extensions.messages import MAX_FRAME
from requests_queue import event_loops
from webhooks.delivery import validators

logger = logging.getLogger(__name__)

# Seconds for requests in flight at a stop.
GRACE = 3
_STDIN = 0


class PortTaken(StartError):
    """An address of SIM_BIND cannot be bound; the text says which and why."""


class NotStarted(StartError):
    """The server ended before it was ready; the log says why."""

    def __init__(self) -> None:
        super().__init__("The web server cannot start. See the log above.")


class Web:
    """A server bound to SIM_BIND; raises PortTaken."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        event_loops.raise_file_limit()
        self._sockets = _bind()
        self._server = _Server(wsgi, threads)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving; raises NotStarted."""
        validators.start()
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            raise NotStarted
        # In advance: importing them takes half a second, for which the first request would wait.
        urls = [settings.ROOT_URLCONF]
        threading.Thread(target=import_module, args=urls, name="urls", daemon=True).start()

    def stop(self) -> None:
        """Accept no new requests, and wait a few seconds for those in flight."""
        self._server.should_exit = True
        # Validations in flight fail, so that their requests can end.
        validators.stop()
        self._thread.join(GRACE + 2)

    def is_running(self) -> bool:
        """Return whether the server's thread is alive."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                runner.run(self._server.serve(self._sockets))
        except Exception:
            logger.exception("The web server failed.")
        finally:
            self._server.ready.set()


class _Server(uvicorn.Server):
    """uvicorn with an event that is set when it is ready."""

    def __init__(self, wsgi: Wsgi, threads: int) -> None:
        django = DjangoApplication(wsgi, threads)
        health, metrics = Health(), MetricsEndpoint(settings.SIM_METRICS_KEY)
        application = asgi.with_middleware(
            asgi.Router(
                django,
                TrustedProxies(settings.SIM_TRUSTED_PROXY),
                {**asgi.registered_routes(), **health.routes(), **metrics.routes()},
            )
        )
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="websockets-sansio",
            ws_max_size=MAX_FRAME,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            # A query may contain a secret.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            # uvicorn passes it to the event loop, which takes fractions of a second too.
            timeout_keep_alive=settings.SIM_IDLE_TIMEOUT,  # type: ignore[arg-type]
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self.ready = threading.Event()
        self._tls_port = 0
        self._end_waits = (django.end_waits, health.end_waits)
        self._closers = (django.stop, health.close, metrics.close)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve inside the lifespans of all apps."""
        async with AsyncExitStack() as stack:
            for lifespan in asgi.registered("asgi_lifespan"):
                await stack.enter_async_context(lifespan())
            for close in self._closers:
                stack.callback(close)
            await super().serve(sockets)

    def open_tls(self) -> int:
        """Speak TLS on a second port from now on, for extension runners; return the port.

        It is that of SIM_TLS_PORT, or a free one if that is taken. Call in another thread.
        """
        return asyncio.run_coroutine_threadsafe(self._open_tls(), self._loop).result(10)

    async def _open_tls(self) -> int:
        if not self._tls_port:
            files = certificate.ensure(settings.SIM_DATA_DIR)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(files.certificate, files.key)
            sockets = _listen_tls()
            # First: another caller at the same time would open a second port.
            self._tls_port = sockets[0].getsockname()[1]
            for each in sockets:
                server = await self._loop.create_server(self._connect, sock=each, ssl=context)
                self.servers.append(server)
        return self._tls_port

    def _connect(self) -> Connection:
        return Connection(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and set the event."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        tls.opener = self.open_tls
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the waits, which would last for minutes, and stop."""
        tls.opener = None
        for end_waits in self._end_waits:
            end_waits()
        await super().shutdown(sockets)


def _listen_tls() -> list[socket.socket]:
    try:
        return listen(with_port(settings.SIM_BIND, settings.SIM_TLS_PORT).split()[0])
    except OSError:
        return listen(with_port(settings.SIM_BIND, 0).split()[0])


def _bind() -> list[socket.socket]:
    try:
        return listen(settings.SIM_BIND)
    except (OSError, ValueError) as error:
        # The error of a name has a code that only its text explains.
        code = None if isinstance(error, socket.gaierror) else getattr(error, "errno", None)
        reason = error.args[-1] if code is None else os.strerror(code)
        raise PortTaken(
            f"Cannot bind {settings.SIM_BIND} ({reason}). "
            f"Stop the program that uses it, or set another address: SIM_BIND=127.0.0.1:8001."
        ) from None


def on_signals(*, or_end_of_input: bool = False) -> Callable[[], Any]:
    """Return a function that waits for SIGINT or SIGTERM; a second signal ends the process.

    It waits on a pipe: the interrupted code could hold a lock that the signal handler needs. With
    `or_end_of_input` it also returns when standard input ends.
    """
    read_end, write_end = os.pipe()
    received: list[int] = []

    def stop(signum: int, frame: Any) -> None:
        if received:
            raise SystemExit(128 + signum)
        received.append(signum)
        os.write(write_end, b"x")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return partial(_wait, [read_end, *([_STDIN] if or_end_of_input else [])])


def _wait(descriptors: list[int]) -> None:
    """Return when a signal has written to the first descriptor, or the second one has ended."""
    with selectors.DefaultSelector() as selector:
        for each in descriptors:
            selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == descriptors[0] or not os.read(key.fd, 65536):
                    return
