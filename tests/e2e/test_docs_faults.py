"""The commands of docs/faults.md, with a sandbox and a handler that approves orders."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import doc_blocks, orders
from tests.processes import ROOT, Process, Sandbox, free_port, manage, pause, sandbox

BLOCKS = doc_blocks.read("sh", "docs/faults.md")
CONNECT_SIM = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox, and `listen --approve` with a webhook."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        log = tmp_path_factory.mktemp("handler") / "listen.log"
        port = free_port()
        command = manage("listen", "--approve", "--port", str(port))
        listen = Process(command, started.process.env, log).start()
        while "Listening at" not in listen.printed:
            pause()
        orders.webhook(started, f"http://127.0.0.1:{port}/")
        yield started
        listen.stop()


def run(block: str, running: Sandbox, folder: Path) -> str:
    (folder / "connect-sim").write_text(CONNECT_SIM)
    (folder / "connect-sim").chmod(0o755)
    env = {
        **running.process.env,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SANDBOX": running.url,
        "API_KEY": f"ApiKey {running.vendor_key}",
    }
    script = f"set -e\n{BLOCKS[block]}"
    ended = subprocess.run(
        ["sh", "-c", script], env=env, cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_handler_repeats_the_call_that_failed(running: Sandbox, tmp_path: Path) -> None:
    printed = run("try", running, tmp_path)
    assert re.search(r"^Cleared abort-\d+: fired 1 of \d+\.$", printed, re.MULTILINE), printed
    first, *others = re.findall(r"api_call .*POST \S+/(PR-[\d-]+)/approve (\d+)", printed)
    assert first[1] == "500" and {status for _, status in others} == {"200"}
    assert first[0] in {request for request, _ in others}


def test_fault_is_armed_and_cleared_by_http(running: Sandbox, tmp_path: Path) -> None:
    printed = run("http", running, tmp_path)
    assert (
        printed.count('"path": "/requests/*/approve"')
        + printed.count('"path":"/requests/*/approve"')
        == 3
    )


def test_every_block_is_run() -> None:
    doc_blocks.check_all_run(BLOCKS, ["try", "http"], {})
