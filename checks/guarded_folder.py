"""A temporary folder, and the processes that are started for it; both end with this program."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path

from checks.guard import Guard
from checks.processes import ProcessTree


class GuardedFolder:
    """A new temporary folder, which `remove` deletes; the guard does if this program is killed.

    Processes whose environment has `variables` belong to it, and are killed with it (Linux only);
    `tree` are these processes.
    """

    def __init__(self, guard: Guard, variable: str) -> None:
        self._guard, name = guard, secrets.token_hex(8)
        self.variables = {variable: name}
        self._mark = f"{variable}={name}"
        self.tree = ProcessTree(0, self._mark)
        self.path = Path(tempfile.gettempdir(), f"connect-sim-{name}")
        # Before there is anything: this program may be killed at any moment.
        guard.add_folder(self.path)
        guard.add_mark(self._mark)
        self.path.mkdir(mode=0o700)

    def remove(self) -> None:
        """Kill the processes, and delete the folder."""
        self.tree.kill()
        shutil.rmtree(self.path, ignore_errors=True)
        self._guard.remove_mark(self._mark)
        self._guard.remove_folder(self.path)
