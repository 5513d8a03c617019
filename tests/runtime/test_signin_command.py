"""`manage.py signin` prints a link with the URL of the running sandbox."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from checks import sandbox_file
from requests_queue import heartbeats
from requests_queue.catalog.models import User
from tests import make
from tests.processes import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def root(catalog: make.Catalog, settings: Any, tmp_path: Path) -> User:
    settings.SIM_DATA_DIR = tmp_path
    settings.SIM_PUBLIC_URL = "http://127.0.0.1:8000"
    heartbeats.delete(heartbeats.WORKER)
    return User.objects.create(username="root", uid="UR-000-000-001", is_superuser=True)


@pytest.fixture
def listening() -> Iterator[str]:
    """The URL of a listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def write_sandbox_file(url: str, folder: Path) -> None:
    sandbox_file.write(folder, sandbox_file.Sandbox(url, "a", "b"))


def link(capsys: pytest.CaptureFixture[str]) -> str:
    call_command("signin")
    return capsys.readouterr().out.strip()


def test_link_has_the_url_of_the_running_sandbox(
    listening: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sandbox_file(listening, tmp_path)
    assert link(capsys).startswith(f"{listening}/sign-in/UR-000-000-001/")


def test_unreachable_sandbox_with_heartbeat_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sandbox_file("http://host.docker.invalid:8000", tmp_path)
    heartbeats.record(heartbeats.WORKER)
    assert link(capsys).startswith("http://host.docker.invalid:8000/sign-in/")


def test_missing_sandbox_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"sandbox\.json") as raised:
        call_command("signin")
    assert "\n" not in str(raised.value)
    url = f"http://127.0.0.1:{free_port()}"
    write_sandbox_file(url, tmp_path)
    with pytest.raises(CommandError, match=f"No sandbox is running at {url}") as raised:
        call_command("signin")
    assert "\n" not in str(raised.value)


def test_separate_processes_use_the_url_of_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    heartbeats.record(heartbeats.WORKER)
    assert link(capsys).startswith("http://127.0.0.1:8000/sign-in/")


def test_server_uses_the_url_of_its_settings(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.SANDBOX = False
    settings.SIM_PUBLIC_URL = "https://sim.example.com"
    assert link(capsys).startswith("https://sim.example.com/sign-in/")
