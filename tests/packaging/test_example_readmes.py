"""The commands of the README of the example project with pytest, as they stand there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from portal.starters import FOLDER
from tests import doc_blocks, program
from tests.e2e import projects
from tests.packaging import wheels
from tests.processes import ROOT

PYTEST = doc_blocks.read("sh", "examples/pytest_project/README.md")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of what the commands use."""
    tree = wheels.copy_of_sdist(tmp_path)
    shutil.copytree(ROOT / "pytest-connect-sim", tree / "pytest-connect-sim")
    (tree / "examples").mkdir()
    return tree


@pytest.mark.nightly(reason="installs the example with its dependencies")
def test_commands_of_the_pytest_project_install_and_pass(tree: Path) -> None:
    project = projects.copy("pytest_project", tree / "examples")
    path = {"PATH": projects.path_with(Path(sys.executable))}
    for name in ("install", "test"):
        ended = projects.run(f"set -eu\n{PYTEST[name]}", project, path)
        assert ended.returncode == 0, ended.stdout
    assert "10 passed" in ended.stdout
    doc_blocks.check_all_run(PYTEST, {"install", "test"}, {})


@pytest.mark.nightly(reason="installs pytest and the server with its dependencies")
def test_tests_of_a_new_python_project_install_and_pass(tmp_path: Path) -> None:
    program.run("init", "python", str(tmp_path / "project"))
    projects.add_wheels(tmp_path / "project")
    commands = doc_blocks.read("sh", str(FOLDER / "python" / "README.md"))
    path = {"PATH": projects.path_with(Path(sys.executable))}
    ended = projects.run(f"set -eu\n{commands['test']}", tmp_path / "project", path)
    assert ended.returncode == 0 and "2 passed" in ended.stdout, ended.stdout
