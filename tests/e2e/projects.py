"""Copies of the example projects, and environments with only what they declare."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests import environments
from tests.packaging import wheels
from tests.processes import ROOT, Sandbox

EXAMPLES = ROOT / "examples"
PLUGIN = ROOT / "pytest-connect-sim"
_AVAILABLE = environments.versions(*((3, minor) for minor in range(9, 14)))
OLDEST, NEWEST = _AVAILABLE[0], _AVAILABLE[-1]
_SERVER = (3, 11)  # the oldest Python of the server


@cache
def plugin_wheel(folder: Path) -> Path:
    """Build the wheel of the plugin."""
    wheels.build(PLUGIN, folder, "-t", "wheel")
    [wheel] = folder.glob("pytest_connect_sim-*.whl")
    return wheel


def copy(name: str, folder: Path) -> Path:
    """Copy the files of a project that are in the repository."""
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache", "wheels", ".venv")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=ignored))


def add_wheels(project: Path) -> Path:
    """Put the wheels of this tree where the requirements of a project have them."""
    target = project / "wheels"
    target.mkdir()
    for wheel in (wheels.built().wheel, plugin_wheel(project.parent / "dist")):
        shutil.copy(wheel, target)
    return target


def python_for(project: Path, version: tuple[int, int]) -> Path:
    """Return the interpreter of an environment with the requirements of a project."""
    lines = (project / "requirements.txt").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith(("#", "./wheels/"))]
    return python_with("pytest-project", named, project / "wheels", version)


def python_with(name: str, named: list[str], folder: Path, version: tuple[int, int]) -> Path:
    """Return the interpreter of an environment with packages, and the wheels of a folder.

    The packages and what the wheels depend on are kept for the next run, with pip, which uv leaves
    out; the wheels are always those of this tree. An old Python gets no server.
    """
    declared = [*named, *_dependencies(PLUGIN), "pip"]
    pattern = "pytest_connect_sim-*.whl"
    if version >= _SERVER:
        # The locked versions, as for the image.
        declared += [*_dependencies(ROOT), f"-c {ROOT / 'requirements.txt'}"]
        pattern = "*.whl"
    name = f"{name}-{version[0]}.{version[1]}"
    python = environments.python(name, "\n".join(declared), only=version)
    uv = [str(Path(sys.executable).parent / "uv"), "pip"]
    into = ["--quiet", "--python", str(python)]
    paths = map(str, folder.glob(pattern))
    wheels.run([*uv, "install", *into, "--no-deps", "--reinstall", *paths], cwd=ROOT)
    wheels.run([*uv, "check", *into], cwd=ROOT)
    return python


def _dependencies(folder: Path) -> list[str]:
    content: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())
    return list(content["project"]["dependencies"])


def shared(running: Sandbox) -> dict[str, str]:
    """Return the variables with which a project's tests use a sandbox that runs."""
    return {"CONNECT_SIM_URL": running.url, "SIM_DATA_DIR": str(running.data_dir)}


def run(
    command: list[str] | str, folder: Path, variables: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command, or a line of a shell, in a folder."""
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        timeout=timeout,
        text=True,
        env={**environments.calling_loopback(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def path_with(python: Path) -> str:
    """Return a PATH in which the programs of an environment come first."""
    return os.pathsep.join([str(python.parent), os.environ["PATH"]])
