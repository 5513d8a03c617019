"""The commands of docs/faults.md, with a sandbox and a handler that approves orders."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import doc_blocks, orders, workflows
from tests.processes import ROOT, Sandbox, listening, output, sandbox

BLOCKS = doc_blocks.read("sh", "docs/faults.md")
CONNECT_SIM = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox, and `listen --approve` with a webhook."""
    folder = tmp_path_factory.mktemp("handler")
    with (
        sandbox(tmp_path_factory.mktemp("sandbox")) as started,
        listening(started, folder, "--approve") as (_, url),
    ):
        orders.webhook(started, url)
        yield started


def run(block: str, running: Sandbox, folder: Path) -> str:
    workflows.write_programs(folder, {"connect-sim": CONNECT_SIM})
    env = {
        **running.process.env,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SANDBOX": running.url,
        "API_KEY": f"ApiKey {running.vendor_key}",
    }
    return output(["sh", "-ec", BLOCKS[block]], env, folder)


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
