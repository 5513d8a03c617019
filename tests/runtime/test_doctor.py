"""`connect-sim doctor`: each thing broken once, what it says then, and its exit codes."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from checks.sandbox_file import Sandbox
from connect_sim import diagnosis
from portal.home.system_status import Component
from requests_queue import clock, heartbeats
from requests_queue.heartbeats import SCHEDULER, WORKER
from requests_queue.models import Clock, Heartbeat
from tests import make, processes
from tests.engines import until
from tests.handlers import handler
from tests.marks import nightly
from tests.processes import copy_first_data, environment, free_port, sandbox
from tests.unit.connect_sim.recording_server import Answer, Server, serving

NAMES = ["Database", "Broker", "Worker", "Scheduler", "Clock", "Port", "Keys", "Handlers"]


def answer(method: str, path: str, body: Any) -> Answer:
    return 200, {"ready": True} if path == "/readyz" else {"version": "1"}


@pytest.fixture
def server() -> Any:
    """A web server that answers as a sandbox, beside processes that have heartbeats."""
    for kind in (WORKER, SCHEDULER):
        heartbeats.record(kind, now=True)
    Clock.objects.update_or_create(pk=1, defaults={"offset": timedelta(), "frozen_at": None})
    with serving() as server:
        server.answer = answer
        yield server


def examine(url: str) -> dict[str, list[Component]]:
    found: dict[str, list[Component]] = {}
    for each in diagnosis.examine(Sandbox(url, "SU-1:vendor", "SU-2:provider")):
        found.setdefault(each.name, []).append(each)
    assert list(found) == NAMES
    return found


def not_good(url: str) -> dict[str, tuple[str, str]]:
    """Return state and text of what is not good, by name."""
    return {
        name: (each.state, each.text)
        for name, found in examine(url).items()
        for each in found
        if each.state != "good"
    }


def set_clock(**values: Any) -> None:
    Clock.objects.filter(pk=1).update(**values)


def break_worker(server: Server) -> None:
    Heartbeat.objects.filter(kind=WORKER).update(problem="Claims (OperationalError)")


def break_scheduler(server: Server) -> None:
    Heartbeat.objects.filter(kind=SCHEDULER).delete()
    Heartbeat.objects.filter(kind=WORKER).update(since=0)


def break_keys(server: Server) -> None:
    def refuse(method: str, path: str, body: Any) -> Answer:
        refused = "SU-2" in server.headers[-1].get("Authorization", "")
        return (401, {"errors": ["Unauthorized."]}) if refused else answer(method, path, body)

    server.answer = refuse


def serving_another(status: int) -> Callable[[Server], None]:
    def serve(server: Server) -> None:
        server.answer = lambda method, path, body: (status, b"<html>")

    return serve


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("damage", "name", "state", "text"),
    [
        (break_worker, "Worker", "bad", "see the log of the worker"),
        (break_scheduler, "Scheduler", "bad", "Restart the sandbox"),
        (lambda server: set_clock(offset=timedelta(days=1)), "Clock", "note",
         "Platform time is 1 d ahead of real time. `./connect-sim reset`"),
        (lambda server: set_clock(offset=timedelta(hours=-1)), "Clock", "bad", "Correct that"),
        (lambda server: set_clock(frozen_at=clock.now(), moving_lease=0), "Clock", "bad",
         "Restart the sandbox"),
        (break_keys, "Keys", "bad", "The distributor's key in sandbox.json is not valid. Restart"),
        (serving_another(404), "Port", "bad", "Another program answers"),
        (serving_another(200), "Port", "bad", "Another program answers"),
    ],
)  # fmt: skip
def test_damage_is_found_with_what_to_do(
    server: Server, damage: Callable[[Server], None], name: str, state: str, text: str
) -> None:
    assert not_good(server.url) == {}
    damage(server)
    found = not_good(server.url)
    assert found.pop(name)[0] == state and text in examine(server.url)[name][0].text
    # Nobody is asked for a key.
    assert found.keys() == ({"Keys"} if name == "Port" else set())


@pytest.mark.django_db
def test_sandbox_that_is_silent_is_not_to_be_started(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state, text = not_good(f"http://127.0.0.1:{silent.getsockname()[1]}")["Port"]
    assert state == "bad" and "did not answer within 0.1 s. Run this again" in text


@pytest.mark.django_db
def test_moving_clock_is_in_order(server: Server) -> None:
    set_clock(frozen_at=clock.now(), moving_lease=2**40)
    assert not_good(server.url) == {}
    assert Clock.objects.get(pk=1).frozen_at is not None


@pytest.mark.django_db
def test_broker_that_does_not_respond_is_found(server: Server, settings: Any) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "Start Redis, or correct CELERY_BROKER_URL" in not_good(server.url)["Broker"][1]


@pytest.mark.django_db
def test_handlers_that_refuse_connections_are_named_by_address(
    server: Server, catalog: make.Catalog
) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    with handler(200) as up:
        urls = [up.url, f"http://user:secret@{down[7:]}/?key=secret", f"{down}/two", f"{down}/3"]
        hooks = [make.webhook(catalog, n=n, external_url=url) for n, url in enumerate(urls)]
        make.webhook(catalog, n=9, external_url="http://127.0.0.1:1/", active=False)
        [found] = examine(server.url)["Handlers"]
    assert found.state == "bad" and "secret" not in found.text
    named = ", ".join(each.pk for each in hooks[1:])
    assert found.text.startswith(f"{down} of {named}: It accepts no connections. Start it, or")


@pytest.mark.django_db
def test_handler_whose_name_cannot_be_resolved_is_found(
    server: Server, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    make.webhook(catalog, external_url="https://handlre.example/")
    monkeypatch.setattr("connect_sim.diagnosis.socket.getaddrinfo", fail)
    assert "The name handlre.example cannot be resolved." in not_good(server.url)["Handlers"][1]


@pytest.mark.django_db
def test_handler_that_may_not_be_called_gets_no_connection(
    server: Server, catalog: make.Catalog, settings: Any
) -> None:
    settings.SIM_ALLOW_NETWORKS = "private"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://localhost:{listening.getsockname()[1]}"
        webhook = make.webhook(catalog, external_url=f"{url}/")
        state, text = not_good(server.url)["Handlers"]
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert state == "bad" and text.startswith(f"{url} of {webhook.pk}: localhost cannot be called")
    assert '(or the keyword "loopback") to SIM_ALLOW_NETWORKS' in text


@pytest.mark.django_db
def test_handlers_that_the_sandbox_reaches_by_another_way_are_unknown(
    server: Server, settings: Any
) -> None:
    settings.SIM_HTTP_PROXY = "http://proxy.invalid:1"
    assert not_good(server.url)["Handlers"][0] == "unknown"


@pytest.mark.django_db
def test_database_that_fails_meanwhile_leaves_the_rest_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr("sandbox.clock.moves.read", fail)
    found = not_good(server.url)
    assert {name: state for name, (state, _) in found.items()} == {
        "Database": "bad", "Worker": "unknown", "Scheduler": "unknown", "Clock": "unknown",
        "Handlers": "unknown",
    }  # fmt: skip


# As users call it


def doctor(folder: Path, *options: str, **variables: str) -> tuple[int, list[str]]:
    """Return exit code and lines."""
    command = [sys.executable, "-m", "connect_sim", "doctor", *options]
    done = processes.run(command, environment(folder, **variables))
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_running_sandbox_gets_one_line(tmp_path: Path) -> None:
    with sandbox(tmp_path / "data") as running:
        # Until then, the scheduler is unknown.
        until(lambda: has_scheduler(running.data_dir), "the scheduler's first task")
        assert doctor(running.data_dir) == (0, ["Nothing is wrong."])
        running.advance("1d")
        code, [note, verdict] = doctor(running.data_dir)
        assert code == 0 and note.startswith("Clock: Platform time is 1 d ahead")
        assert verdict == "Nothing is wrong."


def has_scheduler(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "connect.sqlite3", timeout=30)) as database:
        query = "SELECT count(*) FROM requests_queue_heartbeat WHERE kind = 'scheduler'"
        return bool(database.execute(query).fetchone()[0])


def execute(statement: str) -> Callable[[Path], None]:
    def change(database: Path) -> None:
        with sqlite3.connect(database) as connection:
            connection.execute(statement)
        connection.close()

    return change


def overwrite(database: Path) -> None:
    database.write_bytes(b"not a database " * 1000)
    # SQLite reads all that is in it from there.
    database.with_name(f"{database.name}-wal").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (Path.unlink, "does not exist. Restart the sandbox."),
        (overwrite, "manage fresh"),
        (execute("DELETE FROM django_migrations WHERE app = 'sandbox'"), "Restart the sandbox."),
        nightly(
            execute("UPDATE django_migrations SET name = '9999_new' WHERE app = 'sandbox'"),
            "Use that version, or delete the data",
            reason="the start has this check, too",
        ),
    ],
    ids=["deleted", "damaged", "older", "newer"],
)
def test_database_of_a_stopped_sandbox_is_examined(
    tmp_path: Path, damage: Callable[[Path], None], text: str
) -> None:
    copy_first_data(tmp_path)
    damage(tmp_path / "connect.sqlite3")
    before = {path.name for path in tmp_path.iterdir()}
    code, [database, port, verdict] = doctor(tmp_path)
    assert code == 1 and database.startswith("Database: ") and text in database
    assert port.startswith("Port: Cannot connect to ") and "Start it: `./connect-sim`" in port
    unknown = "Unknown: worker, scheduler, clock, keys, handlers."
    assert verdict == f"Wrong: database, port. {unknown}"
    assert {path.name for path in tmp_path.iterdir()} - before <= {
        "connect.sqlite3-shm", "connect.sqlite3-wal"}  # fmt: skip


def test_json_has_all_and_the_verdict(tmp_path: Path) -> None:
    copy_first_data(tmp_path)
    code, lines = doctor(tmp_path, "--json")
    content = json.loads("\n".join(lines))
    assert code == 1 and content.keys() == {"ok", "verdict", "checks"} and not content["ok"]
    assert [each["name"] for each in content["checks"]] == [name.lower() for name in NAMES]
    states = {each["name"]: each["state"] for each in content["checks"]}
    assert states["database"] == "good" and states["port"] == states["worker"] == "bad"
    assert content["verdict"] == "Wrong: worker, port. Unknown: scheduler, keys."


def test_sandbox_that_was_never_started_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "connect_sim", "doctor"]
    done = processes.run(command, environment(tmp_path))
    assert done.returncode == 3 and done.stderr.startswith("Error: ") and done.stdout == ""
    assert not list(tmp_path.iterdir())
