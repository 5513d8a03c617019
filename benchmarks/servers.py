"""Redis and PostgreSQL servers for a run; PostgreSQL may be that of SIM_TEST_POSTGRES."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from benchmarks.processes import BenchmarkError, environment, running

_used_ports: set[int] = set()


class Unavailable(Exception):
    """A server is not installed on this machine; the message says which."""


def free_port() -> int:
    """Return an unused port below the ephemeral range."""
    for port in range(18000 + os.getpid() % 8000, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _used_ports:
                _used_ports.add(port)
                return port
    raise BenchmarkError("no free port below 32000")


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis without persistence, and yield its URL without the database number."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise Unavailable("redis-server is not installed")
    port = free_port()
    command = [
        binary,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    with running(command, environment(), folder / "redis.log"):
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server without a database: that of SIM_TEST_POSTGRES, or of a
    new one with default settings."""
    url = os.environ.get("SIM_TEST_POSTGRES")
    if url:
        yield url.rpartition("/")[0]
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
    """Create a database and yield its URL; drop it at the end of the block."""
    import psycopg

    name = f"sim_bench_{name}_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def redis_and_database(folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Run both servers, and yield the URLs of a database and of the Redis."""
    with (
        redis_server(folder) as broker,
        postgres_server() as server,
        database(server, name) as url,
    ):
        yield url, broker


def postgres_pid(url: str) -> int:
    """Return the main process of the PostgreSQL server, which must be on this machine."""
    import psycopg

    with psycopg.connect(url) as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


def database_size(url: str) -> int:
    """Return the bytes of a database, with its indexes."""
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def redis_pid(url: str) -> int:
    """Return the process of a Redis, which must be on this machine."""
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


def _binary(name: str) -> Path:
    # Debian installs them outside PATH, in a folder per version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for candidate in [folder / name for folder in reversed(folders)]:
        if candidate.exists():
            return candidate
    if path := shutil.which(name):
        return Path(path)
    raise Unavailable("PostgreSQL is not installed (no initdb), and SIM_TEST_POSTGRES is not set")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tempfile.gettempdir(),
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stderr}")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise BenchmarkError(f"no server listens at port {port}")
