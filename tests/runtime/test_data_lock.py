"""One sandbox per data, as long as its process lives; a process ends without its database."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from connect_sim import data_lock
from connect_sim.installation import StartError
from tests import processes
from tests.engines import until
from tests.marks import nightly
from tests.processes import (
    Process,
    Sandbox,
    copy_first_data,
    environment,
    free_port,
    manage,
    restart,
    sandbox,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        running.process.kill()


def refused(running: Sandbox, command: str, data: Path, **variables: str) -> None:
    """Check that a second process names the first one, and changes nothing."""
    before = (running.data_dir / "sandbox.json").read_text()
    bind = f"127.0.0.1:{free_port()}"
    done = processes.run(manage(command), environment(data, SIM_BIND=bind, **variables))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ") and running.url in line
    assert f"process {running.process.popen.pid} on " in line
    assert (running.data_dir / "sandbox.json").read_text() == before
    assert running.call("GET", "/sandbox/clock").status_code == 200


@pytest.mark.parametrize(
    "command",
    [
        "sandbox",
        nightly("web", reason="refused by the same line"),
        nightly("worker", reason="refused by the same line"),
    ],
)
def test_second_process_names_the_first_and_ends(shared: Sandbox, command: str) -> None:
    refused(shared, command, shared.data_dir)


@pytest.mark.nightly(reason="test_link_in_the_place_of_a_lock_is_not_followed has links")
def test_second_sandbox_by_a_symbolic_link_is_refused(shared: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shared.data_dir)
    refused(shared, "sandbox", tmp_path / "link")


def test_second_sandbox_on_the_database_alone_is_refused(shared: Sandbox, tmp_path: Path) -> None:
    url = f"sqlite:///{shared.data_dir / 'connect.sqlite3'}"
    refused(shared, "sandbox", tmp_path / "other", DATABASE_URL=url)


def test_other_commands_run_beside_a_sandbox(shared: Sandbox) -> None:
    processes.output(manage("check_counters"), shared.process.env)


def test_second_start_keeps_the_port_file_of_the_first(shared: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1\n")
    command = manage("sandbox", "--port-file", str(tmp_path / "port"))
    assert processes.run(command, shared.process.env).returncode == 1
    assert (tmp_path / "port").read_text() == "1\n"


def test_death_of_the_process_releases_the_lock(shared: Sandbox) -> None:
    shared.process.kill()
    restart(shared)
    refused(shared, "sandbox", shared.data_dir)


# -- the locks alone


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Return a function that takes the locks as another process does."""
    settings.SIM_DATA_DIR = tmp_path
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "a.sqlite3")}
    monkeypatch.setitem(settings.DATABASES, "default", database)
    held: list[Any] = []

    def take(*, exclusive: bool) -> list[Any]:
        files: list[Any] = []
        held.append(files)
        monkeypatch.setattr(data_lock, "_held", files)
        data_lock.hold(exclusive=exclusive)
        return files

    yield take
    for file in (file for files in held for file in files):
        file.close()


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_sandbox_shares_its_data_with_nobody(hold: Any, first: bool, second: bool) -> None:
    hold(exclusive=first)
    with pytest.raises(StartError, match=rf"process {os.getpid()} on "):
        hold(exclusive=second)


def test_parts_of_a_server_share_a_sqlite_file(hold: Any) -> None:
    for _ in range(3):
        assert len(hold(exclusive=False)) == 1


def test_process_locks_its_data_once(hold: Any) -> None:
    """The scheduler of a sandbox, which is told to start as a separate one is."""
    files = hold(exclusive=True)
    data_lock.hold(exclusive=False)
    assert len(files) == 2


def test_on_postgres_only_the_data_folder_of_a_sandbox_is_locked(
    hold: Any, settings: Any, tmp_path: Path
) -> None:
    settings.DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
    assert hold(exclusive=False) == []
    hold(exclusive=True)
    with pytest.raises(StartError, match=str(tmp_path)):
        hold(exclusive=True)
    assert [path.name for path in tmp_path.iterdir()] == [data_lock.FILE]


def test_link_in_the_place_of_a_lock_is_not_followed(hold: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / data_lock.FILE).symlink_to(tmp_path / "file")
    with pytest.raises(ImproperlyConfigured, match=data_lock.FILE):
        hold(exclusive=True)
    assert (tmp_path / "file").read_text() == "content"


def test_child_does_not_keep_the_lock(hold: Any) -> None:
    files = hold(exclusive=True)
    ours, childs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        childs.sendall(b"x")
        childs.recv(1)
        os._exit(0)
    childs.close()
    try:
        assert ours.recv(1) == b"x"
        for file in files:
            file.close()
        assert len(hold(exclusive=True)) == 2
    finally:
        ours.close()
        os.waitpid(child, 0)


def test_file_system_without_locks_is_a_warning(
    hold: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    hold(exclusive=True)
    assert "No locks available" in caplog.text and "no other sandbox" in caplog.text


# -- the database file


def _delete(data: Path) -> None:
    for file in data.glob("connect.sqlite3*"):
        file.unlink()


def _move_folder(data: Path) -> None:
    data.rename(data.with_name("moved"))


def _replace(data: Path) -> None:
    (data / "copy").write_bytes((data / "connect.sqlite3").read_bytes())
    (data / "copy").replace(data / "connect.sqlite3")


@pytest.mark.parametrize("lose", [_delete, _move_folder, _replace])
def test_lost_database_is_noticed(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    data = tmp_path / "var"
    data.mkdir()
    file = data / "connect.sqlite3"
    file.write_bytes(b"data")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert data_lock.is_same(file, descriptor)
        lose(data)
        assert not data_lock.is_same(file, descriptor)
    finally:
        os.close(descriptor)


def test_file_system_that_does_not_respond_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", failing)
    assert data_lock.is_same(tmp_path / "connect.sqlite3", 0)


def test_end_is_logged_as_json(
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.SIM_LOG_FORMAT = "json"
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    data_lock.exit_without(tmp_path / "connect.sqlite3", 0)
    assert "was deleted or replaced" in caplog.text
    assert (codes, capsys.readouterr().err) == ([1], "")


_SAME = "noticed by the same thread as in a sandbox"


@pytest.mark.parametrize(
    ("command", "lose"),
    [
        ("sandbox", _delete),
        nightly("sandbox", _move_folder, reason="test_lost_database_is_noticed has it"),
        nightly("web", _delete, reason=_SAME),
        nightly("worker", _delete, reason=_SAME),
    ],
)
def test_process_ends_without_its_database(
    tmp_path: Path, command: str, lose: Callable[[Path], None]
) -> None:
    data = tmp_path / "var"
    copy_first_data(data)
    file, port = data / "connect.sqlite3", free_port()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM requests_queue_heartbeat")
    env = environment(data, SIM_BIND=f"127.0.0.1:{port}")
    # Its log is elsewhere: the folder moves.
    process = Process(manage(command), env, tmp_path / "log").start()

    def has_reported() -> bool:
        with closing(sqlite3.connect(file)) as database:
            rows = database.execute("SELECT count(*) FROM requests_queue_heartbeat")
            return bool(rows.fetchone()[0])

    try:
        if command == "worker":
            until(has_reported, "a heartbeat")
        else:
            Sandbox(f"http://127.0.0.1:{port}", data, process).wait_for_web()
        lose(data)
        until(lambda: process.popen.poll() is not None, "the end of the process", timeout=30)
        assert process.popen.wait() == 1
        [line] = [line for line in process.printed.splitlines() if line.startswith("Error: ")]
        assert f"{file} was deleted or replaced" in line
    finally:
        process.kill()
