"""How the program is installed, a checkout or a wheel, and how a failed start ends."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from connect_sim import IS_CHECKOUT

# How users call it.
PROGRAM = "./connect-sim" if IS_CHECKOUT else "connect-sim"


class StartError(SystemExit):
    """A process cannot start: it ends with exit code 1 and prints the reason."""

    def __init__(self, reason: object) -> None:
        self.reason = str(reason)
        super().__init__(f"Error: {reason}")


def install_extra(name: str) -> str:
    """Return the command that installs an extra of the distribution, from the home folder."""
    if IS_CHECKOUT:
        return f".venv/bin/pip install -r requirements-{name}.txt"
    return f"pip install 'connect-sim[{name}]'"


def home() -> Path:
    """Return the folder of `.env` and `var`: the checkout, or else the current folder."""
    return Path(__file__).resolve().parents[1] if IS_CHECKOUT else Path.cwd()


def import_without(name: str, *optional: str) -> None:
    """Import a library without packages that it would import wherever they are installed."""
    # None is a module that can't be found.
    hidden: dict[str, Any] = {each: None for each in optional if each not in sys.modules}
    sys.modules.update(hidden)
    try:
        import_module(name)
    finally:
        for each in hidden:
            del sys.modules[each]


def refuse_windows() -> None:
    """End the process on Windows, before an import fails."""
    if sys.platform == "win32":
        raise StartError(
            "Connect Sim does not run on Windows itself. Run it in the Windows Subsystem for Linux "
            "(WSL 2): see docs/platforms.md."
        )
