"""`/metrics`: the metrics of the database, for a Prometheus server that has SIM_METRICS_KEY.

Only a caller with the key may read it, and it says nothing about single accounts. Without the
setting the path doesn't exist. It is an ASGI endpoint, as those of `health` are: it works while all
threads of Django are busy, and accepts any Host.
"""

from __future__ import annotations

import asyncio
import hmac
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from django.db import Error, connection

from connect_sim.server import Application, Receive, Scope, Send
from connect_sim.server.plain_endpoints import respond, serve

PATH = "/metrics"
_LIMIT = 8.0  # seconds for reading the database: Prometheus waits for 10
_FRESH = 1.0  # seconds for which the text is used again
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


def render() -> bytes:
    """Return the metrics of the database, in one thread at a time; raises django.db.Error."""
    # Only now: a server without the key doesn't load the client.
    from connect_sim.metrics import database

    try:
        return database.render()
    finally:
        with suppress(Error):
            connection.close()


class MetricsEndpoint:
    """The endpoint of one web server; all requests share one reading at a time."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._reading: asyncio.Future[bytes] | None = None
        self._fresh_until = 0.0

    def routes(self) -> dict[str, Application]:
        """Return the endpoint by its path; none without a key."""
        return {PATH: partial(serve, PATH, self._serve)} if self._key else {}

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_allowed(scope):
            content = {"error_code": "AUTH_001", "errors": ["SIM_METRICS_KEY is required."]}
            await respond(scope, send, 401, content, (b"www-authenticate", b"Bearer"))
            return
        try:
            text = await self._read()
        except (Error, TimeoutError):
            content = {"error_code": "SYS_503", "errors": ["The database is unavailable."]}
            await respond(scope, send, 503, content)
        else:
            await respond(scope, send, 200, text, content_type=_TEXT)

    def _is_allowed(self, scope: Scope) -> bool:
        """Return whether there is one Authorization header, which has the key; constant time."""
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, key = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._key)

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        if self._reading is None or (self._reading.done() and loop.time() > self._fresh_until):
            self._reading = loop.run_in_executor(self._pool, render)
            self._reading.add_done_callback(self._keep)
        # One client that leaves doesn't end the reading of the others.
        return await asyncio.wait_for(asyncio.shield(self._reading), _LIMIT)

    def _keep(self, reading: asyncio.Future[bytes]) -> None:
        self._fresh_until = asyncio.get_running_loop().time() + _FRESH
        if not reading.cancelled() and reading.exception() is not None:
            # An error isn't used again.
            self._fresh_until = 0.0
