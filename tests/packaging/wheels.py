"""The built wheel and sdist, and environments with only the wheel and its dependencies."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests import environments
from tests.processes import ROOT

_TIMEOUT = 300
VERSIONS = ("3.11", "3.12", "3.13")


class Built(NamedTuple):
    """The files of `make build`."""

    wheel: Path
    sdist: Path


@cache
def built() -> Built:
    """Return wheel and sdist of this tree, which one of the run's processes builds."""
    # tests.environment sets it, for all processes of a run of pytest.
    run = Path(os.environ.get("SIM_TEST_RUN") or tempfile.mkdtemp(prefix="connect-sim-dist-"))
    folder, done = run / "dist", run / "dist-done"
    with (run / "dist-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(ROOT, folder)
            done.touch()
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


def build(tree: Path, folder: Path, *arguments: str) -> None:
    """Build what the arguments name (`-t wheel`), or both, as `make build` does."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *arguments]
    run(command, cwd=tree)


def interpreters() -> list[str]:
    """Return the Pythons of this machine that the wheel supports, from the oldest to the newest."""
    found = [environments.older(version) for version in VERSIONS]
    return [path for path in found if path] or [sys.executable]


def install(folder: Path, interpreter: str) -> Path:
    """Create an environment with the wheel and its locked dependencies; return its programs."""
    uv = str(Path(sys.executable).parent / "uv")
    # The environment of these tests is itself one, whose packages must not be seen.
    run([uv, "venv", "--quiet", "--python", interpreter, str(folder)], cwd=folder.parent)
    locked = ["--constraint", str(ROOT / "requirements.txt")]
    into = ["--python", str(folder / "bin" / "python")]
    run([uv, "pip", "install", "--quiet", *into, *locked, str(built().wheel)], cwd=folder.parent)
    return folder / "bin"


def add_extra(programs: Path, name: str) -> None:
    """Install an extra of the wheel, with its locked dependencies, into an environment."""
    uv = str(Path(sys.executable).parent / "uv")
    locked = ["--constraint", str(ROOT / f"requirements-{name}.txt")]
    wheel = f"{built().wheel}[{name}]"
    into = ["--python", str(programs / "python")]
    run([uv, "pip", "install", "--quiet", *into, *locked, wheel], cwd=programs.parent)


def run(command: list[str], cwd: Path, **variables: str) -> str:
    """Run a program, and return what it prints; an error shows its output."""
    env = {**environments.calling_loopback(), **variables}
    # In a new environment modules are compiled once, for all starts.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def with_modules_of_our_names(folder: Path) -> Path:
    """Create a handler's folder with packages named like those of the server."""
    for name in ("sandbox", "checks", "portal", "extensions", "webhooks", "requests_queue"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise ImportError('{name} of the handler')\n")
    return folder


def files(folder: Path) -> set[str]:
    """Return the paths of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def copy_of_sdist(folder: Path) -> Path:
    """Unpack the sdist, and return its only folder."""
    shutil.unpack_archive(built().sdist, folder)
    [top] = folder.iterdir()
    return top
