"""Find the sandbox: one that runs, a command, an importable `connect_sim`, or uvx."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_connect_sim.server import SandboxError
from pytest_connect_sim.version import VERSION

_FOUR_WAYS = f"""No sandbox is found. There are four ways to name one:
  1. --connect-sim-url URL, or CONNECT_SIM_URL: a sandbox that runs already, also in a container
  2. --connect-sim-command COMMAND, or the ini option connect_sim_command: a command that starts \
one, such as /opt/connect-sim/bin/connect-sim sandbox
  3. pip install 'pytest-connect-sim[server]', with Python 3.11 or newer
  4. connect_sim_uvx = true in the ini file: uvx runs connect-sim {VERSION}"""


@dataclass(frozen=True)
class Way:
    """How the sandbox is found: at a URL, or by the command that starts it."""

    url: str = ""
    command: list[str] | None = None

    def __str__(self) -> str:
        return self.url or " ".join(self.command or ())


def find(url: str, command: str, uvx: bool) -> Way:
    """Return the first of the ways that is there; raises SandboxError, which names all."""
    if url.strip():
        return Way(url=url.strip())
    if command.strip():
        return Way(command=shlex.split(command))
    if sys.version_info >= (3, 11) and is_importable():
        # -P: a folder of the project must not shadow the server's packages.
        return Way(command=[sys.executable, "-P", "-m", "connect_sim", "sandbox"])
    if uvx:
        program = shutil.which("uvx")
        if program is None:
            raise SandboxError(
                "connect_sim_uvx is true, but there is no uvx on the path. Install uv."
            )
        return Way(command=[program, "--from", f"connect-sim=={VERSION}", "connect-sim", "sandbox"])
    raise SandboxError(_FOUR_WAYS)


def is_importable() -> bool:
    """Return whether the server's package is installed; does not import it."""
    try:
        spec = importlib.util.find_spec("connect_sim")
    except (ImportError, ValueError):
        return False
    folders = spec.submodule_search_locations if spec else None
    # Not a folder of the project that happens to have this name.
    return any((Path(folder) / "__main__.py").exists() for folder in folders or ())
