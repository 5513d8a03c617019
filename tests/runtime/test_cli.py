"""Errors at the start of a process are one line, not a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.marks import nightly
from tests.processes import ROOT, environment, free_port, manage
from tests.runtime.test_settings import SERVER


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return processes.run(manage(*arguments), environment(folder, **variables))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed command has printed."""
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


CELERY = [sys.executable, "-m", "celery", "-A", "connect_sim"]


@pytest.mark.parametrize(
    "command",
    [manage("sandbox"),
     *(nightly(command, reason="checked by the same line") for command in (
         manage("signin"), [*CELERY, "worker"], manage("check"), manage("web"),
         [*CELERY, "beat", "--schedule", "schedule"]))],
    ids=["sandbox", "signin", "worker", "check", "web", "beat"],
)  # fmt: skip
def test_process_with_an_invalid_setting_does_not_start(tmp_path: Path, command: list[str]) -> None:
    env = environment(tmp_path, SIM_CALLS="abc", SIM_HTTP_PROXY="socks5://proxy.example.com:1080")
    # Elsewhere: the scheduler writes a file into the current folder.
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "SIM_CALLS must be a whole number from 1 to 100000, not 'abc'." in done.stderr
    assert "SIM_HTTP_PROXY must begin with http:// or https://." in done.stderr
    assert "HINT: " in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ") or command[-1] in ("check", "signin")


def test_other_wsgi_server_with_an_invalid_setting_does_not_start(tmp_path: Path) -> None:
    env = environment(tmp_path, SIM_PROFILE="prod")
    done = subprocess.run(
        [sys.executable, "-c", "import connect_sim.wsgi"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "SIM_PROFILE must be one of sandbox, server, not 'prod'." in done.stderr


def test_server_profile_needs_a_broker(tmp_path: Path) -> None:
    done = run(tmp_path, "check", **{**SERVER, "CELERY_BROKER_URL": "memory://"})
    assert done.returncode == 1
    assert "connect_sim.E010" in done.stderr


# -- the data folder or the database cannot be used


@pytest.mark.parametrize(
    "command",
    [manage("sandbox"), nightly([*CELERY, "worker"], reason="reported by the same line")],
)
def test_data_folder_that_cannot_be_created_is_reported_in_one_line(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    env = environment(tmp_path / "file" / "var")
    done = processes.run(command, env)
    assert last_line(done).startswith("Error: ")
    assert "cannot be used: Not a directory" in last_line(done)


def test_file_that_is_not_a_database_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "connect.sqlite3").write_bytes(b"not a database " * 1000)
    message = last_line(run(tmp_path, "sandbox"))
    assert message == (
        "Error: The database file is damaged or is not SQLite "
        "(DatabaseError: file is not a database)."
    )


def test_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    """SQLite gets no more room than a limit of the process allows."""
    run(tmp_path, "check")
    # In blocks of 512 bytes or 1 KiB; the tables need more than either.
    limited = ["bash", "-c", 'ulimit -f 200; trap "" XFSZ; exec "$@"', "-", *manage("sandbox")]
    done = subprocess.run(
        limited, env=environment(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert last_line(done).startswith("Error: ")


def test_database_without_tables_is_reported_in_one_line(tmp_path: Path) -> None:
    message = last_line(run(tmp_path, "signin"))
    assert message.startswith("Error: The database has no tables: start the server, or migrate it ")


def test_unreachable_database_is_reported_in_one_line(tmp_path: Path) -> None:
    address = f"postgres://user@127.0.0.1:{free_port()}/name"
    message = last_line(run(tmp_path, "web", **{**SERVER, "DATABASE_URL": address}))
    assert message.startswith("Error: The database cannot be reached ")
