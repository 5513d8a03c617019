"""Handlers whose faults were chosen without knowing the checks, and that no variant has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, environment

# Each handler, and the check that names its fault. See their docstrings.
CAUGHT_BY = {
    "half_done": "effects.history_clean",
    "open_get": "auth.no_header",
    "shared_list": "effects.one_run",
}


def failures(handler: str, check: str, folder: Path) -> set[str]:
    """Return which of a check and its control fail for a handler of `blind/`."""
    file = folder / "verdict.json"
    command = f"{sys.executable} {ROOT / 'tests/checks/blind' / handler}.py"
    run = [sys.executable, "-m", "connect_sim", "check", "--run", command, "--select", check]
    ended = subprocess.run(
        [*run, "--jobs", "1", "--json", str(file)],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    return {
        result["id"]
        for result in json.loads(file.read_text())["results"]
        if result["outcome"] == "fail"
    }


@pytest.mark.nightly(reason="minutes: handlers that were written without the checks")
@pytest.mark.parametrize(("handler", "check"), CAUGHT_BY.items())
def test_fault_fails_the_check_that_names_it(handler: str, check: str, tmp_path: Path) -> None:
    assert check in failures(handler, check, tmp_path)


@pytest.mark.nightly(reason="minutes: all checks that the faults fail")
def test_handler_without_the_faults_passes_the_same_checks(tmp_path: Path) -> None:
    assert failures("sound", ",".join(sorted(set(CAUGHT_BY.values()))), tmp_path) == set()
