"""Environments of their own for published clients: made once, kept under `.test-venvs/`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
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
    built_by: str = "",
    built_with: str = "",
) -> Path:
    """Return the interpreter of a venv with these requirements; skip loudly without one.

    `newest` is the last Python that the client can be imported by. `built_by` are the versions of
    pip and setuptools that install it, `built_with` what limits the tools of its builds.
    """
    base, version = _base(name, newest)

    def make(folder: Path) -> None:
        _run([base, "-m", "venv", str(folder)])
        wanted, limits = folder / "requirements.txt", folder / "limits.txt"
        wanted.write_text(requirements)
        limits.write_text(f"{built_with}\n")
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        if built_by:
            _run([*install, *built_by.split()])
        # pip 25.3 and later read the second name for builds.
        names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT") if built_with else ()
        _run([*install, "-r", str(wanted)], **dict.fromkeys(names, str(limits)))

    made = _made(name, f"{version}\n{requirements}{built_by}\n{built_with}", make)
    return made / "bin" / "python"


def older(version: str) -> str | None:
    """Return an interpreter of that version, on the path or of pyenv; None where there is none."""
    found = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    managed = sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)
    for path in ([found] if found else []) + [str(path) for path in managed]:
        # A shim of pyenv is there for versions that are not switched on, and fails.
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    return None


def _base(name: str, newest: tuple[int, int]) -> tuple[str, str]:
    """Return this interpreter, or an older one that the client can do with, and its version."""
    found = sys.version_info[:2]
    if found <= newest:
        return sys.executable, f"{found[0]}.{found[1]}"
    wanted = f"{newest[0]}.{newest[1]}"
    path = older(wanted)
    if path is None:
        pytest.skip(f"python{wanted} is not installed, which {name} needs: its tests were not run")
    return path, wanted


def node(name: str, package: Path) -> Path:
    """Return a folder with the `node_modules` of a package.json; skip loudly without npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the tests with Node.js were not run")

    def make(folder: Path) -> None:
        folder.mkdir()
        shutil.copy(package, folder / "package.json")
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"]
        _run(["npm", "install", *options], cwd=folder)

    return _made(name, package.read_text(), make)


def calling_loopback() -> dict[str, str]:
    """Return the environment of a client: this process's, without the sandbox's settings and
    without a proxy on the way to this machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SIM_", "DJANGO", "PYTEST", "PYTHONPATH"))
    }
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _made(name: str, wanted: str, make: Callable[[Path], None]) -> Path:
    """Return the environment's folder, made if it isn't there; one process makes it at a time."""
    folder = FOLDER / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    done = folder / "installed"
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            # What an interrupted installation left.
            shutil.rmtree(folder, ignore_errors=True)
            try:
                make(folder)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"{name} can't be installed, so its tests were not run: {_said(error)}")
            done.touch()
    return folder


def _run(command: Sequence[str], cwd: Path | None = None, **variables: str) -> None:
    environment = {**calling_loopback(), **variables}
    subprocess.run(
        command, cwd=cwd, env=environment, check=True, capture_output=True, timeout=_TIMEOUT
    )


def _said(error: Exception) -> str:
    output = getattr(error, "stderr", None) or b""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else str(error)
