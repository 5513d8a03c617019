"""The commands of the README of the example project with pytest, as they stand there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests import doc_blocks
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
