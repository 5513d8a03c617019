"""What programs that start a sandbox rely on: --port 0, --port-file and --exit-with-parent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests import processes
from tests.engines import until
from tests.processes import copy_first_data, environment, manage

PROGRAM = [sys.executable, "-P", "-m", "connect_sim"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a handler has packages of our names."""
    for name in ("webhooks", "sandbox"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('of the handler')")
    return tmp_path


def test_sandbox_of_another_program(folder: Path) -> None:
    """It reports its free port when it serves, and ends with the program that started it."""
    copy_first_data(folder / "data")
    env = environment(folder / "unused")
    (folder / "port").write_text("1\n")
    arguments = ["--port", "0", "--port-file", "port", "--data-dir", "data", "--exit-with-parent"]
    arguments += ["--reading", "default_page=10"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*PROGRAM, "sandbox", *arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        port = _port(process, folder)
        url = f"http://127.0.0.1:{port}"
        assert f"Connect Sim is running at {url}\n" in (folder / "log").read_text()
        assert requests.get(f"{url}/sign-in/", timeout=10).status_code == 200
        written = json.loads((folder / "data" / "sandbox.json").read_text())
        assert written["url"] == url
        headers = {"Authorization": f"ApiKey {written['vendor_api_key']}"}
        readings = requests.get(f"{url}/sandbox/readings", headers=headers, timeout=10).json()
        assert {each["id"]: each["value"] for each in readings}["default_page"] == "10"
        assert not (folder / "unused").exists()
        assert process.stdin is not None
        process.stdin.write(b"ignored")
        process.stdin.flush()
        assert requests.get(f"{url}/sign-in/", timeout=10).status_code == 200
        process.stdin.close()
        assert process.wait(10) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait(10)
    assert not (folder / "port").exists()
    names = {"data", "sandbox", "webhooks", "log"}
    assert {path.name for path in folder.iterdir()} == names


def _port(process: subprocess.Popen[bytes], folder: Path) -> int:
    def port() -> int:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            # The file of an earlier start has port 1.
            return int((folder / "port").read_text()) - 1
        except FileNotFoundError:
            return 0

    until(port, "the port file", timeout=30)
    return port() + 1


def run(folder: Path, *arguments: str, stdin: int | None = None) -> str:
    done = processes.run(manage("sandbox", *arguments), environment(folder / "data"), stdin=stdin)
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


def test_port_file_that_cannot_be_written_prevents_the_start(tmp_path: Path) -> None:
    path = tmp_path / "none" / "port"
    expected = f"Error: The port file {path} cannot be written: No such file or directory.\n"
    assert run(tmp_path, "--port-file", str(path)) == expected


def test_taken_port_prevents_the_start_before_a_database_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        for command in ("sandbox", "web"):
            env = environment(tmp_path / "data", SIM_BIND=bind)
            done = processes.run(manage(command), env)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith(f"Error: Cannot bind {bind} (Address already in use). ")
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names == {"secret_key", "encryption_key", "sandbox.lock", "connect.sqlite3.lock"}


def test_snapshot_that_cannot_be_saved_prevents_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "snapshots").touch()
    printed = run(tmp_path, "--no-seed")
    assert printed == "Error: The snapshot cannot be written or deleted: File exists.\n"


def test_parent_without_a_pipe_prevents_the_start(tmp_path: Path) -> None:
    """The end of another input says nothing about a parent."""
    with Path(os.devnull).open() as nothing:
        printed = run(tmp_path, "--exit-with-parent", stdin=nothing.fileno())
    assert printed == "Error: --exit-with-parent needs a pipe as standard input.\n"


def test_options_have_no_short_forms(tmp_path: Path) -> None:
    """`--port` is an option of `connect-sim` only, and not short for `--port-file`."""
    done = processes.run(manage("sandbox", "--port", "8123"), environment(tmp_path / "data"))
    assert done.returncode == 2
    assert done.stderr.endswith("manage.py sandbox: error: unrecognized arguments: --port 8123\n")
