"""The commands of docs/install.md, as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connect_sim import __version__
from tests import doc_blocks, environments
from tests.packaging import wheels
from tests.processes import ROOT

BLOCKS = doc_blocks.read("sh", "docs/install.md")
# Run in the checkout.
PLUGIN = doc_blocks.read("sh", "docs/test-with-pytest.md")
# Beside `docker`, of which tests/e2e/test_containers.py says what is run.
README = {"uvx", "pytest"}
WHEEL = re.compile(r"[\w./]*\bconnect_sim-[\w.]+-py3-none-any\.whl")
NOT_RUN = {
    "cd": "the folder of a reader's tests",
    "pipx": "installs what `uv tool` installs, and is no tool of this project",
}
# What starts a sandbox runs until Ctrl-C; test_installed.py starts it in these ways.
STARTS = ("uvx", "connect-sim", "python", "pytest")


def test_make_build_writes_the_archives_of_server_and_plugin(tmp_path: Path) -> None:
    """In a copy of the tree, where dist/ is nobody's."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed: `make build` was not run")
    tree = wheels.copy_of_sdist(tmp_path)
    shutil.copy(ROOT / "Makefile", tree)
    shutil.copytree(ROOT / "pytest-connect-sim", tree / "pytest-connect-sim")
    # This Python has the packages: nothing is to be installed.
    python = f"BIN={Path(sys.executable).parent}"
    wheels.run(["make", "-s", "-o", ".venv/dev.stamp", python, "build"], cwd=tree)
    plugin = {f"pytest_connect_sim-{__version__}{end}" for end in ("-py3-none-any.whl", ".tar.gz")}
    written = {path.name for path in (tree / "dist").iterdir()}
    assert written == {path.name for path in wheels.built()} | plugin


@pytest.mark.nightly(reason="installs the program in each way of the page")
def test_commands_install_and_run_the_program(tmp_path: Path) -> None:
    bin_of_tests = Path(sys.executable).parent
    wheels.run([str(bin_of_tests / "uv"), "venv", "--quiet", "--seed", "venv"], cwd=tmp_path)
    tools = tmp_path / "tools"
    env = {
        **environments.calling_loopback(),
        "UV_TOOL_DIR": str(tmp_path / "uv"),
        "UV_TOOL_BIN_DIR": str(tools),
        "PATH": os.pathsep.join(
            map(str, (tmp_path / "venv" / "bin", tools, bin_of_tests, os.environ["PATH"]))
        ),
    }
    (tmp_path / "dist").mkdir()
    shutil.copy(wheels.built().wheel, tmp_path / "dist")
    wheels.build(ROOT / "pytest-connect-sim", tmp_path / "dist", "-t", "wheel")
    readme = doc_blocks.read("sh", "README.md")
    assert readme.keys() == README | {"docker", "targets"}
    lines = [(line, tmp_path) for name in README for line in readme[name].splitlines()]
    lines += [(line, tmp_path) for block in BLOCKS.values() for line in block.splitlines()]
    lines += [(line, ROOT) for line in PLUGIN["install"].splitlines()]
    for line, folder in lines:
        program, *_ = shlex.split(line, comments=True)
        if line == "make build" or program in NOT_RUN:
            print(f"not run: {line}: {NOT_RUN.get(program, 'another test runs it')}")
            continue
        end = " --version" if program in STARTS else ""
        command = ["sh", "-c", WHEEL.sub(str(wheels.built().wheel), line) + end]
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if end and program != "pytest":
            assert done.stdout == f"connect-sim {__version__}\n"
    assert {path.name for path in tools.iterdir()} == {"connect-sim"}
