"""The wheels of the plugin and the server, installed: the project of the docs page passes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import environments
from tests.packaging import wheels
from tests.plugin import docs_project
from tests.processes import ROOT

PLUGIN = ROOT / "pytest-connect-sim"
OLDEST = environments.versions(*[(3, minor) for minor in range(9, 14)])[0]
# The machine may be busy.
PATIENT = ["-o", "connect_sim_timeout=30", "-o", "connect_sim_start_timeout=180"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's wheel."""
    folder = tmp_path_factory.mktemp("plugin")
    wheels.build(PLUGIN, folder, "-t", "wheel")
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def both(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with both wheels, of the newest Python."""
    root = tmp_path_factory.mktemp("both")
    programs = wheels.install(root / "environment", wheels.interpreters()[-1])
    _install(programs, f"{plugin}[server]", "pytest-xdist")
    return programs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The docs page's project, with packages of the server's names, and a .env of its own."""
    folder = docs_project.write(wheels.with_modules_of_our_names(tmp_path / "project"))
    (folder / ".env").write_text("DATABASE_URL=postgres://nobody@127.0.0.1:9/of-the-project\n")
    return folder


def _install(programs: Path, *requirements: str) -> None:
    uv = str(Path(sys.executable).parent / "uv")
    into = [uv, "pip", "install", "--quiet", "--python", str(programs / "python")]
    wheels.run([*into, *requirements], cwd=programs.parent)


def _variables(folder: Path) -> Mapping[str, str]:
    # A handler's tests put its folder on the path of all processes that they start.
    return {"PYTHONPATH": str(folder), "TMPDIR": str(folder.parent)}


def _passes(printed: str, project: Path) -> None:
    count = sum(text.count("def test_") for text in map(Path.read_text, project.glob("test_*.py")))
    assert count and re.search(rf"^{count} passed", printed, re.M), printed


def test_installed_server_is_started_by_each_of_two_workers(both: Path, project: Path) -> None:
    before = wheels.files(project)
    command = [str(both / "pytest"), "-q", "-n", "2", "-p", "no:cacheprovider", *PATIENT]
    printed = wheels.run(
        command,
        project,
        **_variables(project),
        PYTHONDONTWRITEBYTECODE="1",
        DATABASE_URL="postgres://nobody@127.0.0.1:9/of-the-project",
    )
    _passes(printed, project)
    assert "ConnectSimVersionWarning" not in printed
    new = {name for name in wheels.files(project) - before if "__pycache__" not in name}
    assert new == set()


@pytest.mark.nightly(reason="installs once more")
def test_server_runs_from_another_environment_than_the_oldest_python(
    plugin: Path, both: Path, project: Path, tmp_path: Path
) -> None:
    base = environments.older(f"{OLDEST[0]}.{OLDEST[1]}") or sys.executable
    uv = str(Path(sys.executable).parent / "uv")
    wheels.run([uv, "venv", "--quiet", "--python", base, str(tmp_path / "old")], cwd=tmp_path)
    programs = tmp_path / "old" / "bin"
    # The extra brings the server only where it runs.
    extra = "[server]" if OLDEST < (3, 11) else ""
    _install(programs, f"{plugin}{extra}")
    assert not list(programs.parent.glob("lib/*/site-packages/connect_sim"))
    server = f"{both / 'connect-sim'} sandbox"
    command = [str(programs / "pytest"), "-q", "--connect-sim-command", server, *PATIENT]
    _passes(wheels.run(command, project, **_variables(project), PATH=os.environ["PATH"]), project)
