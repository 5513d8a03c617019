"""`connect_sim.extension` of the pytest plugin, with a runner in place of `cextrun`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.plugin.test_with_sandbox import NEWEST, PROJECTS, run, shared
from tests.processes import Sandbox


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project, and the folder of a program of the name `cextrun`."""
    shutil.copy(PROJECTS / "test_extensions.py", tmp_path)
    program = tmp_path / "bin" / "cextrun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROJECTS / "cextrun.py"} "$@"\n')
    program.chmod(0o755)
    return tmp_path


def test_tests_of_extensions_pass_and_leave_no_runner(running: Sandbox, project: Path) -> None:
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    variables = {**shared(running), "PATH": path, "RUNNERS": str(project / "runners")}
    ended = run(NEWEST, project, **variables)
    assert ended.returncode == 0 and "6 passed, 1 skipped" in ended.stdout, ended.stdout
    [pid] = map(int, (project / "runners").read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    failed = run(NEWEST, project, "-k", "that_fails", **variables, FAILING="1")
    assert failed.returncode == 1 and "ended with success" in failed.stdout, failed.stdout
    assert "- Connect Sim: runner of SRVC-" in failed.stdout
    assert "with ApiKey (hidden)" in failed.stdout and running.vendor_key not in failed.stdout
