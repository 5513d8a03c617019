"""What a benchmark measures with: a folder, a handler, and processes that it asks for."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.processes import Process, running
from tests.postgres_server import GIVEN, postgres_database, postgres_server
from tests.processes import Redis, Sandbox, environment, free_port, redis_server, sandbox


class Part:
    """One set-up of a benchmark: all that it starts ends with the stack, in reverse order."""

    def __init__(
        self, name: str, folder: Path, stack: ExitStack, *, uses_servers: bool, quick: bool
    ) -> None:
        self.name, self.uses_servers, self.quick = name, uses_servers, quick
        self.folder, self.stack, self.port = folder, stack, free_port()
        self.handler_url = f"http://127.0.0.1:{self.port}"
        self.handler = self.process("handler", "")
        self.handler.ask("up", port=self.port)

    def size(self, quick: Any, full: Any) -> Any:
        """Return the size for the kind of run."""
        return quick if self.quick else full

    def process(
        self, module: str, settings: str = "connect_sim.settings", **variables: str
    ) -> Process:
        """Start a process that serves the functions of a module of the benchmarks."""
        if settings:
            variables["DJANGO_SETTINGS_MODULE"] = settings
        folder = self.folder / f"{module}-{free_port()}"
        command = [sys.executable, "-m", "benchmarks.served", f"benchmarks.{module}"]
        process = running(command, environment(folder, **variables), folder.with_suffix(".log"))
        return self.stack.enter_context(process)

    def database(self) -> str:
        """Create a PostgreSQL database and return its URL; start a server if none is given.

        Its durability is that of PostgreSQL's defaults.
        """
        if GIVEN not in os.environ:
            server = self.stack.enter_context(postgres_server("-c max_connections=200"))
            self.stack.enter_context(patch.dict(os.environ, {GIVEN: server.url}))
        return self.stack.enter_context(postgres_database())

    @cached_property
    def redis(self) -> Redis:
        """The Redis of this part, which is started on first use."""
        return self.stack.enter_context(redis_server(self.folder))

    def data(self) -> dict[str, str]:
        """Return the variable of an empty database for `process`: on PostgreSQL or SQLite."""
        if not self.uses_servers:
            return {"DATABASE_URL": f"sqlite:///{self.folder}/{free_port()}.sqlite3"}
        return {
            "DATABASE_URL": self.database(),
            # The CPU time of parallel workers could not be attributed to a connection.
            "PGOPTIONS": "-c max_parallel_workers_per_gather=0",
        }

    def sandbox(self) -> Sandbox:
        """Start a sandbox, and return a client of it whose calls are not a handler's."""
        started = sandbox(self.folder / "sandbox", first=True)
        return self.stack.enter_context(started).as_tester()


def post(sandbox: Sandbox, path: str, body: Any = None) -> Any:
    """Call the sandbox's own API, and return the decoded response."""
    response = sandbox.call("POST", f"/sandbox/{path}", body or {}, timeout=60)
    response.raise_for_status()
    return response.json() if response.content else None


def time_call(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds a call takes, and its result."""
    start = time.monotonic()
    result = call()
    return time.monotonic() - start, result
