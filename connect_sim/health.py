"""`/healthz`: the process answers; `/readyz?wait=30`: the sandbox or server can be used.

Both are for probes of containers, of CI and of load balancers, which have no API key and may call
the server by its IP address: anyone may use them, with any Host, and they say no more than which
part is missing. They are ASGI endpoints, so that they need none of Django's threads, and a wait
holds none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qsl

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from connect_sim.server import Application, Receive, Scope, Send
from connect_sim.server.deferred import Client, ClientLeft, Stopping
from connect_sim.server.plain_endpoints import respond, serve
from requests_queue import heartbeats

LIVE, READY = "/healthz", "/readyz"
DATABASE, MIGRATIONS, ENGINE, SERVER = "database", "migrations", "engine", "server"

MAX_WAIT = 300  # seconds
# Further waits end at once, because each occupies a connection without an API key.
MAX_WAITS = 100
PAUSE = 0.2  # seconds between two checks of a wait
_FRESH = 0.1  # seconds for which the result of a check is used again
_CHECK_LIMIT = 2.0  # seconds for a check, if the request waits for less
_NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


class Parts:
    """Finds what is missing; called by one thread at a time."""

    def __init__(self) -> None:
        self._migrations: set[tuple[str, str]] = set()
        self._is_migrated = False

    def __call__(self) -> list[str]:
        """Return the names of what is missing: database, migrations or engine."""
        try:
            connection.ensure_connection()
            if not self._is_migrated and not self._check_migrations():
                return [MIGRATIONS]
            worker = heartbeats.by_kind().get(heartbeats.WORKER)
        except Error:
            return [DATABASE]
        finally:
            with suppress(Error):
                connection.close()
        is_running = worker is not None and worker.alive > worker.failing
        return [] if is_running else [ENGINE]

    def _check_migrations(self) -> bool:
        if not self._migrations:
            self._migrations = set(MigrationLoader(None).disk_migrations)
        applied = MigrationRecorder(connection).applied_migrations()
        self._is_migrated = self._migrations <= applied.keys()
        return self._is_migrated


class Health:
    """The endpoints of one web server; all requests share one check at a time."""

    def __init__(self, find_missing: Callable[[], list[str]] | None = None) -> None:
        self._find_missing = find_missing or Parts()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._stopping = asyncio.Event()
        self._check: asyncio.Future[list[str]] | None = None
        self._fresh_until = 0.0
        self._waits = 0

    def routes(self) -> dict[str, Application]:
        """Return the endpoints by path."""
        return {LIVE: partial(serve, LIVE, _live), READY: partial(serve, READY, self._ready)}

    def end_waits(self) -> None:
        """End all waits; called in the event loop when the server stops."""
        self._stopping.set()

    def close(self) -> None:
        """End the thread of the checks."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            wait = parse_wait(scope["query_string"])
        except ValueError as error:
            await respond(scope, send, 400, {"error_code": "VAL_001", "errors": [str(error)]})
            return
        client = Client(scope, receive, self._stopping)
        self._waits += 1
        try:
            missing = await client.wait(self._wait(wait if self._waits <= MAX_WAITS else 0))
        except ClientLeft:
            # It may have closed only its side of the connection, and still receive.
            missing = await self._wait(0)
        except Stopping:
            missing = [SERVER]
        finally:
            self._waits -= 1
        content = {"ready": not missing, "missing": missing}
        await respond(scope, send, 503 if missing else 200, content)

    async def _wait(self, seconds: float) -> list[str]:
        """Return what is missing, when nothing is or after some seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            missing = await self._missing(max(_CHECK_LIMIT, deadline - loop.time()))
            remaining = deadline - loop.time()
            if not missing or remaining <= 0:
                return missing
            await asyncio.sleep(min(PAUSE, remaining))

    async def _missing(self, timeout: float) -> list[str]:
        loop = asyncio.get_running_loop()
        if self._check is None or (self._check.done() and loop.time() > self._fresh_until):
            self._check = loop.run_in_executor(self._pool, self._find_missing)
            self._check.add_done_callback(self._keep)
        check = self._check
        await asyncio.wait({check}, timeout=timeout)
        # A check that takes longer waits for the database.
        return check.result() if check.done() else [DATABASE]

    def _keep(self, check: asyncio.Future[list[str]]) -> None:
        self._fresh_until = asyncio.get_running_loop().time() + _FRESH


def parse_wait(query: bytes) -> float:
    """Return the seconds of `wait`, 0 without it; raises ValueError with a sentence."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    values = [value for name, value in pairs if name == "wait"]
    if not values:
        return 0.0
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or float(values[0]) > MAX_WAIT:
        raise ValueError(f"wait: Must be one number of seconds from 0 to {MAX_WAIT}.")
    return float(values[0])


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    await respond(scope, send, 200, {"status": "ok"})
