"""A database of another version is refused, and `make fresh` deletes the data of a sandbox."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from connect_sim import __version__, checks
from tests.marks import nightly
from tests.processes import environment, manage, output, run

REFUSAL = (
    f"Connect Sim {__version__} has no migration webhooks.0000_removed. Use that version, or "
    "delete the data with `./connect-sim manage fresh`."
)
ROW = "('webhooks', '0000_removed', '2026-01-01 00:00:00')"
INSERT = f"INSERT INTO django_migrations (app, name, applied) VALUES {ROW}"
CELERY = str(Path(sys.executable).parent / "celery")
PROCESSES = {
    "sandbox": manage("sandbox"),
    "web": manage("web"),
    "worker": [CELERY, "-A", "connect_sim", "worker", "--pool", "threads"],
}
# Of the processes.
_SAME = "refused by the same line"


def migrated(env: dict[str, str]) -> None:
    """Create the tables of one app that has few: what matters is the table of migrations."""
    output(manage("migrate", "-v0", "contenttypes"), env)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a sandbox, which tests copy."""
    data = tmp_path_factory.mktemp("first") / "var"
    migrated(environment(data))
    (data / "snapshots").mkdir()
    (data / "snapshots" / "seed.sqlite3").touch()
    (data / "snapshots" / "import.draft").touch()
    # Of the migration of an older file.
    (data / "snapshots" / "folder.draft").mkdir()
    (data / "snapshots" / "folder.draft" / "connect.sqlite3").touch()
    (data / "sandbox.json").write_text(
        json.dumps({"url": "http://127.0.0.1:9", "vendor_api_key": "a", "provider_api_key": "b"})
    )
    return data


@pytest.fixture
def data(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "var"))


@pytest.fixture
def env(data: Path) -> dict[str, str]:
    return environment(data)


@pytest.fixture
def old_sqlite(env: dict[str, str], data: Path) -> dict[str, str]:
    """An environment whose SQLite database has the name of a removed migration."""
    with closing(sqlite3.connect(data / "connect.sqlite3")) as database, database:
        database.execute(INSERT)
    return env


@pytest.mark.parametrize(
    "process", [*PROCESSES][:1] + [nightly(n, reason=_SAME) for n in [*PROCESSES][1:]]
)
def test_process_refuses_sqlite_of_older_version(old_sqlite: dict[str, str], process: str) -> None:
    assert_refused(run(PROCESSES[process], old_sqlite))


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith(REFUSAL), done.stderr


@pytest.mark.parametrize("process", ["sandbox", nightly("worker", reason=_SAME)])
def test_process_refuses_the_database_of_a_handler(tmp_path: Path, process: str) -> None:
    """Its DATABASE_URL may be in the environment, or in the file .env of the current folder."""
    path = tmp_path / "shop.sqlite3"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE auth_group (id INTEGER)")
        database.execute("CREATE TABLE shop_order (id INTEGER)")
    env = environment(tmp_path / "var", DATABASE_URL=f"sqlite:///{path}")
    done = run(PROCESSES[process], env)
    assert done.returncode == 1
    assert "has tables of another program (shop_order): name an empty one" in done.stderr
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    assert names == [("auth_group",), ("shop_order",)]


def test_migrate_prunes_names_of_removed_migrations(old_sqlite: dict[str, str], data: Path) -> None:
    output(manage("migrate", "--prune", "webhooks"), old_sqlite)
    with closing(sqlite3.connect(data / "connect.sqlite3")) as database:
        query = "SELECT name FROM django_migrations WHERE app = 'webhooks'"
        assert database.execute(query).fetchall() == []


@pytest.mark.django_db
def test_current_database_is_accepted() -> None:
    assert checks.migration_problem() is None


@pytest.mark.django_db
def test_names_of_other_apps_are_not_checked() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("auth", "9999_newer_django")
    recorder.record_applied("removed_app", "0001_initial")
    assert checks.migration_problem() is None
    recorder.record_applied("portal", "9999_newer")
    assert "portal.9999_newer" in (checks.migration_problem() or "")


@pytest.mark.django_db
def test_start_migrates_only_what_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrate.Command, "handle", lambda *args, **options: pytest.fail("migrates"))
        call_command("migrate", verbosity=0)
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("sessions", "0001_initial")
    assert not checks.is_migrated("default")
    recorder.record_applied("sessions", "0001_initial")
    # A start may have been killed before it created these.
    missing = Permission.objects.filter(content_type__app_label="webhooks")
    missing.delete()
    call_command("migrate", verbosity=0)
    assert missing.exists() and checks.is_migrated("default")


# `make fresh`


def names(data: Path) -> set[str]:
    return {path.name for path in data.iterdir()} if data.exists() else set()


def make_fresh(env: dict[str, str], *variables: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed: `make fresh` was not run")
    # This Python has the packages: nothing is to be installed.
    python = f"BIN={Path(sys.executable).parent}"
    return run(["make", "-s", "-o", ".venv/run.stamp", "fresh", python, *variables], env)


def test_make_fresh_deletes_database_and_keys(env: dict[str, str], data: Path) -> None:
    assert {"connect.sqlite3", "secret_key", "encryption_key", "sandbox.json"} <= names(data)
    done = make_fresh(env, "FRESH=yes")
    assert done.returncode == 0, done.stderr
    assert not data.exists()


@pytest.mark.nightly(reason="tests/runtime/test_data_folder.py has the deletion of a folder")
def test_fresh_keeps_files_of_others(env: dict[str, str], data: Path) -> None:
    (data / "notes.txt").touch()
    output(manage("fresh", "--yes"), env)
    assert names(data) == {"notes.txt"}


def test_fresh_without_terminal_needs_confirmation(env: dict[str, str], data: Path) -> None:
    before = names(data)
    done = make_fresh(env)
    assert done.returncode != 0
    assert "Confirmation is needed: run `./connect-sim manage fresh --yes`." in done.stderr
    assert names(data) == before


@pytest.mark.parametrize(
    ("reply", "deletes"), [("y", True), nightly("", False, reason="as without a terminal")]
)
def test_fresh_asks_on_a_terminal(
    env: dict[str, str], data: Path, reply: str, deletes: bool
) -> None:
    terminal, child = pty.openpty()
    try:
        os.write(terminal, f"{reply}\n".encode())
        done = run(manage("fresh"), env, stdin=child)
    finally:
        os.close(terminal)
        os.close(child)
    assert str(data) in done.stdout
    assert (done.returncode == 0) == deletes
    assert data.exists() != deletes


def test_fresh_refuses_while_the_sandbox_runs(env: dict[str, str], data: Path) -> None:
    before = names(data)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        text = (data / "sandbox.json").read_text().replace("http://127.0.0.1:9", url)
        (data / "sandbox.json").write_text(text)
        done = run(manage("fresh", "--yes"), env)
    assert done.returncode == 1 and url in done.stderr
    assert names(data) == before


@pytest.mark.nightly(reason="starts a program to compare a text")
def test_fresh_names_the_steps_for_other_databases(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    urls = {"postgres://sim:hidden@127.0.0.1:9/orders": "dropdb", f"sqlite:///{other}": str(other)}
    for url, step in urls.items():
        done = run(manage("fresh", "--yes"), environment(data, DATABASE_URL=url))
        assert done.returncode == 1
        assert "DATABASE_URL" in done.stderr and step in done.stderr
        assert "hidden" not in done.stderr
