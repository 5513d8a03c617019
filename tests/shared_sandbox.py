"""One sandbox for all modules of a worker that need no settings of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.processes import Sandbox, restart, sandbox

VENDOR = "VA-610-138"


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox of a worker, started by the first module that uses it."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        # It keeps its connection.
        started.http = requests.Session()
        yield started
        # tests/e2e/test_restart.py tests the clean stop, which takes seconds.
        started.process.kill()


@pytest.fixture(scope="module")
def running(shared_sandbox: Sandbox) -> Sandbox:
    """A sandbox with the demo data. Its timeline and its output have those of earlier modules."""
    if shared_sandbox.process.popen.poll() is not None:
        restart(shared_sandbox)
    reset(shared_sandbox)
    return shared_sandbox


def reset(running: Sandbox) -> None:
    """Put a sandbox back to its demo data, and delete its snapshots."""
    response = running.call("POST", "/sandbox/reset", {}, timeout=60)
    assert response.ok, response.text
    for snapshot in running.call("GET", "/sandbox/snapshots").json():
        if snapshot["name"] != "seed":
            running.call("DELETE", f"/sandbox/snapshots/{snapshot['name']}")


@pytest.fixture(scope="session")
def administrator(shared_sandbox: Sandbox) -> requests.Session:
    """A session in which the administrator of the shared sandbox is signed in."""
    return sign_in(shared_sandbox)


@pytest.fixture(scope="module")
def session(running: Sandbox, administrator: requests.Session) -> requests.Session:
    """The session of the administrator, who acts as the vendor."""
    page = administrator.get(f"{running.url}/password/", timeout=30).text
    [token] = {*re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)}
    form = {"csrfmiddlewaretoken": token, "account": VENDOR}
    assert administrator.post(f"{running.url}/acting/", form, timeout=30).ok
    return administrator


def sign_in(running: Sandbox) -> requests.Session:
    """Sign in by the link that a sandbox prints."""
    session = requests.Session()
    assert session.get(running.printed_link(), timeout=30).ok
    return session
