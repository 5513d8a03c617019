"""The servers of a run: Redis and PostgreSQL of its own, or the PostgreSQL of SIM_TEST_POSTGRES."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipes import Broken, environment, running

_given: set[int] = set()


class Missing(Exception):
    """A server can't be had on this machine; the text says which, and how to have it."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers of a run are; without an address where there is none."""

    redis: str = ""
    postgres: str = ""


def free_port() -> int:
    """Return a port that nobody listens at, below those that the system gives to connections."""
    for port in range(18000 + os.getpid() % 8000, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _given:
                _given.add(port)
                return port
    raise Broken("no free port below 32000")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing, and return its address without the database's number."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise Missing("redis-server is not installed")
    port = free_port()
    command = [
        binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        "--dir", str(folder),
    ]  # fmt: skip
    with running(command, environment(), folder / "redis.log"):
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Return the address of a PostgreSQL server without a database: the given one, or one of
    this run's own, as it comes out of the box."""
    given = os.environ.get("SIM_TEST_POSTGRES")
    if given:
        yield given.rpartition("/")[0]
        return
    folder, port = Path(tempfile.mkdtemp(prefix="connect-sim-bench-")), free_port()
    # PostgreSQL refuses to run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    try:
        pg_ctl = [*as_user, str(_binary("pg_ctl")), "-D", str(folder / "pg")]
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
            f"-c max_connections=200"
        )
        if as_user:
            shutil.chown(folder, "postgres")
        initdb = [*as_user, str(_binary("initdb")), "-D", str(folder / "pg")]
        _run([*initdb, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
        _run([*pg_ctl, "-w", "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield f"postgres://postgres@127.0.0.1:{port}"
        finally:
            _run([*pg_ctl, "-m", "fast", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make a database and return its address; it goes when the block ends."""
    import psycopg

    name = f"sim_bench_{name}_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _binary(name: str) -> Path:
    # Debian keeps them out of the path, one folder a version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for candidate in [folder / name for folder in reversed(folders)]:
        if candidate.exists():
            return candidate
    if found := shutil.which(name):
        return Path(found)
    raise Missing("PostgreSQL is not installed (no initdb), and SIM_TEST_POSTGRES is not set")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, cwd=tempfile.gettempdir(),
    )  # fmt: skip
    if done.returncode:
        raise Broken(f"{' '.join(command)} failed:\n{done.stderr}")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise Broken(f"nothing listens at port {port}")
