"""PostgreSQL for tests (`-p tests.postgres_server`): one server per run, a database per test that
needs one, and the option `--postgres`, with which Django's database is on that server."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import free_port

# The URL of a server that is running already: tests create their databases there.
GIVEN = "SIM_TEST_POSTGRES"
# The folder of the run's own server, which the first test that needs it starts.
FOLDER = "SIM_TEST_POSTGRES_FOLDER"


# Commits are synchronous: tests crash the server, which must not lose any.
_FAST = "-c fsync=off -c full_page_writes=off -c autovacuum=off -c shared_buffers=64MB"


@dataclass(frozen=True)
class PostgresServer:
    """A server, by default without durability, reached over TCP without a password."""

    binaries: Path
    folder: Path
    port: int
    options: str = _FAST

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Create the files of the server, and start it."""
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self.folder, "postgres")
        options = ["-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C.UTF-8"]
        _run(self.binaries, "initdb", "-D", str(self.folder / "data"), *options)
        self.start()

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={self.folder} {self.options}"
        )
        self._control("-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is like a crash."""
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str) -> None:
        data = str(self.folder / "data")
        _run(self.binaries, "pg_ctl", "-D", data, "-w", "-t", "30", *arguments)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--postgres`."""
    parser.addoption("--postgres", action="store_true", help="run the tests on PostgreSQL")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Generator[None, Any, Any]:
    """Reserve a folder for the run's own server, unless a parent run has done so; with
    `--postgres`, start the server before pytest-django reads the settings."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="connect-sim-postgres-")
        _created.append(Path(os.environ[FOLDER]))
    if early_config.known_args_namespace.postgres:
        try:
            os.environ["DATABASE_URL"] = _url("sim")
        except pytest.skip.Exception as missing:
            raise pytest.UsageError(f"--postgres: {missing}") from None
    return (yield)


def pytest_unconfigure() -> None:
    """Stop the run's own server, or drop the templates on the given one."""
    while _created:
        folder = _created.pop()
        if (folder / "port").exists():
            own_server().stop()
        else:
            for done in folder.glob(f"*{_FILLED}"):
                _execute(f"DROP DATABASE IF EXISTS {done.name.removesuffix(_FILLED)}")
        shutil.rmtree(folder, ignore_errors=True)


# The folder of this process's run: worker processes inherit the variable only.
_created: list[Path] = []
# The suffix of the file that says that a template is complete.
_FILLED = ".filled"


@contextmanager
def postgres_database(template: str = "template1") -> Iterator[str]:
    """Create a database of the test's own and return its URL; skip loudly without a server."""
    name = f"sim_test_{os.getpid()}_{free_port()}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _url(name)
    finally:
        _execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def template_database(name: str, fill: Callable[[str], None]) -> str:
    """Return the name of a database to copy, which one process of the run creates and fills."""
    folder = Path(os.environ[FOLDER])
    database = f"sim_{name}_{folder.name.rpartition('-')[2]}"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / f"{database}{_FILLED}").exists():
            _execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            _execute(f"CREATE DATABASE {database}")
            fill(_url(database))
            (folder / f"{database}{_FILLED}").touch()
    return database


def _url(database: str) -> str:
    return f"{server_url().rpartition('/')[0]}/{database}"


def _execute(statement: str) -> None:
    import psycopg

    with psycopg.connect(server_url(), autocommit=True) as admin:
        admin.execute(statement)


def server_url() -> str:
    """Return the URL of the run's server; skip loudly without one."""
    return os.environ.get(GIVEN) or _own_server_url()


def _own_server_url() -> str:
    """Return the URL of the run's own server; start it if no process of the run has done so."""
    folder = Path(os.environ[FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "port").exists():
            server = PostgresServer(binaries(), folder, free_port())
            server.create()
            (folder / "port").write_text(str(server.port))
    return own_server().url


def own_server() -> PostgresServer:
    """Return the run's own server, which has been started."""
    folder = Path(os.environ[FOLDER])
    return PostgresServer(binaries(), folder, int((folder / "port").read_text()))


@contextmanager
def postgres_server(options: str = _FAST) -> Iterator[PostgresServer]:
    """Run a server that the test may stop and restart; skip loudly where none is installed."""
    # Not in pytest's folder, which PostgreSQL's user can't enter.
    folder = Path(tempfile.mkdtemp(prefix="connect-sim-postgres-"))
    server = PostgresServer(binaries(), folder, free_port(), options)
    try:
        server.create()
        yield server
    finally:
        # The test may have stopped it, or it has not started.
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs; skip loudly where there are none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    # Debian keeps them out of the path, in one folder per version.
    installed = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if not installed:
        pytest.skip(f"PostgreSQL is not installed and {GIVEN} is not set: its tests were not run")
    return max(installed, key=lambda folder: float(folder.parent.name))


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
