"""A PostgreSQL server of a test's own, which the test may stop and restart as it likes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import free_port

# The folder and the port of the server, for tests that run in a process of their own.
VARIABLE = "SIM_TEST_POSTGRES_SERVER"


@dataclass(frozen=True)
class PostgresServer:
    """A server without durability, reached over TCP without a password."""

    binaries: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def described(self) -> str:
        """Return what `from_environment` reads."""
        return f"{self.port}:{self.folder}"

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            " -c fsync=off -c full_page_writes=off -c autovacuum=off -c shared_buffers=32MB"
        )
        self._control("-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is as a crash is."""
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str) -> None:
        data = str(self.folder / "data")
        _run(self.binaries, "pg_ctl", "-D", data, "-w", "-t", "30", *arguments)


def from_environment() -> PostgresServer:
    """Return the server that the parent process has started."""
    port, _, folder = os.environ[VARIABLE].partition(":")
    return PostgresServer(_binaries(), Path(folder), int(port))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server; skip loudly where none is installed."""
    # Not pytest's folder: PostgreSQL refuses to run as root, and its user can't enter that.
    folder = Path(tempfile.mkdtemp(prefix="connect-sim-postgres-"))
    server = PostgresServer(_binaries(), folder, free_port())
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        data = str(folder / "data")
        _run(
            server.binaries,
            "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-N",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not installed:
        pytest.skip("PostgreSQL is not installed: tests that restart a server were not run")
    return installed[-1].parent


def _run(binaries: Path, program: str, *arguments: str) -> None:
    subprocess.run(
        [str(binaries / program), *arguments],
        user="postgres" if os.geteuid() == 0 else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        # Not a pipe: the server would hold it open.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
