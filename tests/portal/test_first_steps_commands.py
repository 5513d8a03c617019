"""The commands of the first steps, taken from Home of a running sandbox, approve an order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from portal.starters import FOLDER
from tests import html
from tests.html import Element
from tests.processes import ROOT, Sandbox, free_port, pause

WAYS = [
    "bundled",
    "python",
    pytest.param("node", marks=pytest.mark.node),
    *(["php"] if shutil.which("php") else []),
]


def home(running: Sandbox, session: requests.Session, way: str) -> Element:
    return html.parse(session.get(f"{running.url}/?start={way}", timeout=20).text)


def revealed(running: Sandbox, session: requests.Session, way: str) -> Element:
    """Return Home after Show them."""
    token = home(running, session, way).one("#reveal [name=csrfmiddlewaretoken]").value
    data = {"start": way, "csrfmiddlewaretoken": token}
    response = session.post(
        f"{running.url}/home/reveal/", data, timeout=20, headers={"Referer": running.url}
    )
    assert response.ok
    return html.parse(response.text)


@contextmanager
def shell(text: str, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a user's terminal does, without variables of the sandbox."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-ec", text],
            cwd=folder,
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(text: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-ec", text], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def until_printed(words: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not re.search(words, log.read_text(errors="replace")):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        pause()


def until_done(running: Sandbox, session: requests.Session, way: str) -> None:
    """Wait until Home marks all steps as done; the handler's port isn't the one that it tries."""
    expected = ["step-handler", "step-webhook", "step-delivery", "step-approved"]
    deadline = time.monotonic() + 60
    while [mark["id"] for mark in home(running, session, way).all("[data-done]")] != expected:
        assert time.monotonic() < deadline
        pause()


@pytest.mark.parametrize("way", WAYS)
def test_commands_lead_to_an_approved_order(
    running: Sandbox, session: requests.Session, tmp_path: Path, way: str
) -> None:
    masked = home(running, session, way)
    shown = revealed(running, session, way)
    assert running.vendor_key.partition(":")[2] not in masked
    port = str(free_port())
    handler, hook, order = (
        # Tests run side by side, so the handler has another port than the page says.
        shown.one(f"#command-{name}").raw_text.replace("9000", port)
        for name in ("handler", "webhook", "order")
    )
    handler = f"{handler} --port {port}" if way == "bundled" else f"export PORT={port}\n{handler}"
    # A terminal is in the folder of the checkout for its program, in the user's own for a handler.
    folder = ROOT if way == "bundled" else tmp_path
    log = tmp_path / "log"
    with shell(handler, folder, log) as process:
        until_printed("Listening at|Development Server", log, process)
        webhook = re.search(r'"id": ?"(WH-[\d-]+)"', run(hook, tmp_path))
        assert webhook
        created = re.search(r"PR-[\d-]+", run(order, ROOT))
        assert created
        until_printed(f"approved {created[0]}", log, process)
        until_done(running, session, way)
        running.as_vendor("DELETE", f"/notifications/webhooks/{webhook[1]}")


def test_commands_of_pytest_fetch_a_handler_and_its_tests(
    running: Sandbox, session: requests.Session, tmp_path: Path
) -> None:
    shown = home(running, session, "pytest")
    install, fetch, start = (shown.one(f"#command-{n}").raw_text for n in (1, 2, 3))
    for package in install.partition("pip install ")[2].split():
        assert (Path(package) / "pyproject.toml").exists()
    run(fetch, tmp_path)
    for name in ("handler.py", "test_handler.py"):
        assert (tmp_path / name).read_text() == (FOLDER / "python" / name).read_text()
    # tests/plugin runs them.
    assert start.endswith("-m pytest test_handler.py")
