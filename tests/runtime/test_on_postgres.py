"""The tests of `tests/on_postgres.txt`, once more on PostgreSQL.

Django has one database per process, so this is a run of pytest in another process.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import postgres_server
from tests.processes import output


@pytest.mark.postgres
def test_files_with_sql_pass_on_postgres() -> None:
    postgres_server.server_url()  # skips where there is no server
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--postgres",
        # One process collects the tests and creates the database once.
        "-n",
        "0",
        "--hypothesis-profile=sample",
        "@tests/on_postgres.txt",
    ]
    assert " passed" in output(command, dict(os.environ), timeout=1200)


def test_option_without_postgres_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(postgres_server.GIVEN, raising=False)
    monkeypatch.setenv(postgres_server.FOLDER, str(tmp_path))
    monkeypatch.setattr(postgres_server, "binaries", lambda: pytest.skip("not installed"))
    config = SimpleNamespace(known_args_namespace=SimpleNamespace(postgres=True))
    with pytest.raises(pytest.UsageError, match="--postgres: not installed"):
        next(postgres_server.pytest_load_initial_conftests(config))


@pytest.mark.postgres
@pytest.mark.parametrize("is_stopped", [False, True])
def test_server_ends_with_its_block(is_stopped: bool) -> None:
    with pytest.raises(ZeroDivisionError), postgres_server.postgres_server() as server:
        if is_stopped:
            server.stop()
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    assert not server.folder.exists()
