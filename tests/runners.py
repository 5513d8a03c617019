"""CloudBlue's published runner of extensions, in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests import environments
from tests.processes import ROOT

_REQUIREMENTS = "connect-extension-runner==43.1\npoetry-core==2.2.1\n"


def program() -> Path:
    """Return `cextrun`; skip loudly without it."""
    return environments.python("cextrun", _REQUIREMENTS, (3, 13)).parent / "cextrun"


def install(extension: Path, folder: Path) -> Path:
    """Install an extension into a folder, which the runner needs as PYTHONPATH; return that."""
    source, installed = folder / "source", folder / "installed"
    shutil.copytree(extension, source)
    install = [str(ROOT / ".venv/bin/uv"), "pip", "install", "-q", "--no-deps", "--offline"]
    install += ["--no-build-isolation", "--python", str(program().parent / "python")]
    subprocess.run([*install, "--target", str(installed), str(source)], check=True, timeout=120)
    return installed
