"""The example extension under CloudBlue's published runner: what docs/extensions.md shows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import environments, runners
from tests.engines import until
from tests.processes import ROOT, Sandbox, sandbox

pytestmark = pytest.mark.clients

EXAMPLE = ROOT / "examples" / "extension"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Sandbox]:
    # The port of the test's sandbox that speaks TLS is any free one.
    with sandbox(tmp_path / "data", SIM_TLS_PORT="0") as started:
        yield started.wait()


@contextmanager
def runner(
    extension: dict[str, Any], key: str, installed: Path, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `cextrun` with the example, which is installed beside it."""
    env = {
        **environments.calling_loopback(),
        **extension["variables"],
        "API_KEY": f"ApiKey {key}",
        "INSTANCE_ID": "example",
        "PYTHONPATH": str(installed),
    }
    command = [str(runners.program()), "-n", "--no-rich-logging"]
    with (folder / "runner.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=EXAMPLE, env=env, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def test_published_runner_approves_orders_and_survives_restart(
    running: Sandbox, tmp_path: Path
) -> None:
    extension = running.call("POST", "/sandbox/extensions", {"name": "Approvals"}).json()
    service, environment = extension["id"], extension["environment"]
    about = f"/devops/services/{service}/environments/{environment}"
    log = tmp_path / "runner.log"
    installed = runners.install(EXAMPLE, tmp_path)

    def order() -> str:
        sample = running.call("POST", "/sandbox/queue/samples", {"queue": "fulfillment"})
        return str(sample.json()["id"])

    def connected() -> bool:
        instances = running.as_vendor("GET", about)["instances"]
        return [each["status"] for each in instances] == ["connected"] * 2

    def ended() -> list[Any]:
        tasks = running.as_vendor("GET", f"{about}/tasks?ordering(id)")
        over = [each for each in tasks if each["status"] == "succeeded"]
        return [(each["object"]["type"], each["object"]["id"]) for each in over]

    with runner(extension, running.vendor_key, installed, tmp_path) as process:
        until(connected, f"the runner is connected: {log}")
        first = order()
        until(lambda: len(ended()) == 1, "the first order's task has ended")
        assert running.as_vendor("GET", f"/requests/{first}")["status"] == "approved"
    until(lambda: not connected(), "the runner has ended in order")
    assert process.returncode == 0, log.read_text()[-2000:]
    second = order()
    with runner(extension, running.vendor_key, installed, tmp_path):
        until(lambda: len(ended()) == 2, "the next runner gets what came meanwhile")
    kind = "asset_purchase_request_processing"
    assert ended() == [(kind, first), (kind, second)]
    assert running.as_vendor("GET", f"/requests/{second}")["status"] == "approved"
