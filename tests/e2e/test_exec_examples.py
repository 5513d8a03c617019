"""The smallest tests of examples/, which `connect-sim exec` runs: they pass, and they can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import workflows
from tests.processes import ROOT

LONGEST = 20  # lines
# By file: the program that runs it, and a change after which it fails.
EXAMPLES = {
    "node_handler/handler.test.mjs": ("node --test", "handler.mjs", "/approve", "/fail"),
    "php_handler/test_handler.php": ("php test_handler.php", "handler.php", "/approve", "/fail"),
    "go_test/order_test.go": ("go test -timeout 60s", "order_test.go", "Bearer", "Basic"),
    "shell_test/test_order.sh": ("sh test_order.sh", "test_order.sh", "--approve", "--status 500"),
}
# Go compiles its library once, and keeps it in HOME: not optimized it takes half as long.
COMPILED_SOON = {"CGO_ENABLED": "0", "GOFLAGS": "'-gcflags=all=-N -l'"}
CONNECT_SIM = f"""#!/bin/sh
PYTHONPATH={ROOT} exec {sys.executable} -P -m connect_sim "$@"
"""
EACH = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.node) if "node" in name else name for name in EXAMPLES],
)


def run(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a test in a folder by the command that its page or its first line names."""
    command = EXAMPLES[name][0].split()
    programs = workflows.write_programs(folder / "programs", {"connect-sim": CONNECT_SIM})
    return subprocess.run(
        ["connect-sim", "exec", "--", *command],
        cwd=folder / "example",
        env=workflows.environment(programs) | COMPILED_SOON | {"HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    program = EXAMPLES[name][0].split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: {name} was not run")
    shutil.copytree(ROOT / "examples" / Path(name).parent, tmp_path / "example")
    return tmp_path


@EACH
def test_example_passes(name: str, folder: Path) -> None:
    ended = run(name, folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.nightly(reason="tests that fail wait for a while")
@EACH
def test_example_fails_if_its_handler_is_broken(name: str, folder: Path) -> None:
    _, file, right, wrong = EXAMPLES[name]
    path = folder / "example" / file
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    ended = run(name, folder)
    assert ended.returncode not in (0, 125, 126, 127), ended.stdout
    named = re.search(r"The sandbox's output is in (\S+)\.$", ended.stderr, re.M)
    assert named, ended.stderr
    Path(named[1]).unlink()


@EACH
def test_example_is_short(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text().splitlines()) <= LONGEST
