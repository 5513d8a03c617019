"""Our packages and those of a handler with the same names, in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connect_sim import SERVER_PACKAGES, installation
from connect_sim.cli import django_commands
from tests.program import run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with modules named like our packages."""
    for name in SERVER_PACKAGES:
        (tmp_path / f"{name}.py").write_text("whose = 'the handler'")
    return tmp_path


def imported(project: Path, code: str) -> str:
    """Return what a program prints whose folder comes first on the path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], env=env, cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_server_uses_its_own_packages(project: Path) -> None:
    """Also after something else was put first on the path."""
    code = f"""
import sys, connect_sim.installation
sys.path.insert(0, {str(project)!r})
import {", ".join(SERVER_PACKAGES)}
for name in {SERVER_PACKAGES}:
    print(sys.modules[name].__file__)
"""
    expected = [str(ROOT / name / "__init__.py") for name in SERVER_PACKAGES]
    assert imported(project, code).splitlines() == expected


def test_bare_import_leaves_the_names_to_the_handler(project: Path) -> None:
    code = "import connect_sim, webhooks; print(connect_sim.__version__ > '', webhooks.whose)"
    assert imported(project, code) == "True the handler\n"


@pytest.mark.parametrize("command", [["sandbox"], [], ["manage", "check"]])
def test_windows_is_refused_in_one_sentence(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "sys", Windows)
    with pytest.raises(SystemExit) as ended:
        run(*command)
    assert ended.value.code == (
        "Error: Connect Sim does not run on Windows itself. Run it in the Windows Subsystem for "
        "Linux (WSL 2): see docs/platforms.md."
    )
    with pytest.raises(SystemExit, match="does not run on Windows"):
        django_commands.run(["manage.py", "check"])


class Windows:
    """The module `sys` as it is there."""

    platform = "win32"
    exit = sys.exit
