"""Environments for published clients, created once and kept under `.test-venvs/`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.processes import ROOT

FOLDER = ROOT / ".test-venvs"
_TIMEOUT = 600


def python(
    name: str,
    requirements: str,
    newest: tuple[int, int] = (3, 99),
    *,
    only: tuple[int, int] | None = None,
    built_by: str = "",
    built_with: str = "",
) -> Path:
    """Return the interpreter of a venv with these requirements; skip loudly without one.

    `newest` is the latest Python that can import the client, `only` the one to use.
    `built_by` are the versions of pip and setuptools that install it, `built_with` the constraints
    of its build dependencies.
    """
    base, version = _base(name, newest, only)

    def create(folder: Path) -> None:
        if not built_by:
            try:
                return _create_with_uv(folder, base, requirements, built_with)
            except (subprocess.SubprocessError, OSError):
                # pip also reads its own configuration of indexes.
                shutil.rmtree(folder, ignore_errors=True)
        _create_with_pip(folder, base, requirements, built_by, built_with)

    contents = f"{version}\n{requirements}{built_by}\n{built_with}"
    return _created(name, contents, create) / "bin" / "python"


def _create_with_uv(folder: Path, base: str, requirements: str, built_with: str) -> None:
    """Create a venv in a tenth of pip's CPU time."""
    uv = str(Path(sys.executable).parent / "uv")
    _run([uv, "venv", "--quiet", "--python", base, str(folder)])
    listed, constraints = _write_lists(folder, requirements, built_with)
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    # Clients are started often, also where Python is told to write no bytecode.
    install += ["--compile-bytecode"]
    _run([*install, "--build-constraints", constraints, "-r", listed])


def _create_with_pip(
    folder: Path, base: str, requirements: str, built_by: str, built_with: str
) -> None:
    _run([base, "-m", "venv", str(folder)])
    listed, constraints = _write_lists(folder, requirements, built_with)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    if built_by:
        _run([*install, *built_by.split()])
    # pip 25.3 and later read the second name for builds.
    names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT") if built_with else ()
    _run([*install, "-r", listed], **dict.fromkeys(names, constraints))


def _write_lists(folder: Path, requirements: str, built_with: str) -> tuple[str, str]:
    """Write the files of requirements and of constraints of builds; return their paths."""
    listed, constraints = folder / "requirements.txt", folder / "constraints.txt"
    listed.write_text(requirements)
    constraints.write_text(f"{built_with}\n")
    return str(listed), str(constraints)


@cache
def older(version: str) -> str | None:
    """Return an interpreter of that version, on the path or of pyenv; None where there is none."""
    on_path = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    managed = sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)
    for path in ([on_path] if on_path else []) + [str(path) for path in managed]:
        # A shim of pyenv exists for versions that are not enabled, and fails.
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


def versions(*numbers: tuple[int, int]) -> list[tuple[int, int]]:
    """Return those of these versions of Python that the machine has."""
    current = sys.version_info[:2]
    return [n for n in numbers if n == current or older(f"{n[0]}.{n[1]}")]


def _base(
    name: str, newest: tuple[int, int], only: tuple[int, int] | None = None
) -> tuple[str, str]:
    """Return this interpreter, or the one that can import the client, and its version."""
    current = sys.version_info[:2]
    newest = only or newest
    if current == only or (only is None and current <= newest):
        return sys.executable, f"{current[0]}.{current[1]}"
    version = f"{newest[0]}.{newest[1]}"
    path = older(version)
    if path is None:
        pytest.skip(f"python{version} is not installed, which {name} needs: its tests were not run")
    return path, version


def node(name: str, package: Path) -> Path:
    """Return a folder with the `node_modules` of a package.json; skip loudly without npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the tests with Node.js were not run")

    def create(folder: Path) -> None:
        folder.mkdir()
        shutil.copy(package, folder / "package.json")
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"]
        _run(["npm", "install", *options], cwd=folder)

    return _created(name, package.read_text(), create)


def calling_loopback() -> dict[str, str]:
    """Return the environment of a client: that of this process without the sandbox's settings,
    and without a proxy for loopback addresses."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SIM_", "DJANGO", "PYTEST", "PYTHONPATH"))
    }
    return {**inherited, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _created(name: str, contents: str, create: Callable[[Path], None]) -> Path:
    """Return the environment's folder, created unless it exists; one process creates at a time."""
    folder = FOLDER / f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"
    done = folder / "installed"
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            # An interrupted installation may have left files.
            shutil.rmtree(folder, ignore_errors=True)
            try:
                create(folder)
            except (subprocess.SubprocessError, OSError) as error:
                reason = _last_line(error)
                pytest.skip(f"{name} cannot be installed, so its tests were not run: {reason}")
            done.touch()
    return folder


def _run(command: Sequence[str], cwd: Path | None = None, **variables: str) -> None:
    environment = {**calling_loopback(), **variables}
    subprocess.run(
        command, cwd=cwd, env=environment, check=True, capture_output=True, timeout=_TIMEOUT
    )


def _last_line(error: Exception) -> str:
    output = getattr(error, "stderr", None) or b""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else str(error)
