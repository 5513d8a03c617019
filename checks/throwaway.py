"""A sandbox in a temporary folder, for one run of checks or of another program."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from checks import sandbox_file
from checks.guard import Guard
from checks.guarded_folder import GuardedFolder
from checks.sandbox_file import Sandbox

# Seconds; it creates its database and the demo data first.
_START = 120.0
_POLL = 0.02
_SHOWN = 2000  # characters of its output in an error
# Settings of the handler's project, if that is a Django project too.
_NOT_INHERITED = ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
_SECRET = re.compile(r"SU-[\d-]+:[\w-]+|sign-in/\S+")


class CannotStart(Exception):
    """The sandbox cannot be started; the text is one sentence."""


class Throwaway:
    """A sandbox's process and folder; a context manager that ends and deletes them.

    Another thread may stop it while it starts. `options` are those of `connect-sim sandbox`,
    `settings` variables of its environment.
    """

    def __init__(
        self, guard: Guard, options: Sequence[str] = (), settings: Mapping[str, str] | None = None
    ) -> None:
        self._guard, self._options, self._settings = guard, options, settings or {}
        self._own = GuardedFolder(guard, "CONNECT_SIM_THROWAWAY")
        self._folder = self._own.path
        self.data = self._folder / "data"
        self._lock = threading.Lock()
        self._is_stopped = False
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Throwaway:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> Sandbox:
        """Start the sandbox, and return its URL and keys when it serves; raises CannotStart."""
        with self._lock:
            if not self._is_stopped:
                self._launch()
        deadline = time.monotonic() + _START
        while not self._port():
            if not self.is_alive:
                raise CannotStart("The sandbox ended while it started.")
            if time.monotonic() > deadline:
                raise CannotStart(f"The sandbox did not start within {_START:g} s.")
            threading.Event().wait(_POLL)
        return sandbox_file.read(self.data)

    @property
    def is_alive(self) -> bool:
        """Whether the sandbox runs."""
        popen = self._popen
        return popen is not None and popen.poll() is None

    @property
    def has_ended(self) -> bool:
        """Whether the sandbox has ended by itself."""
        popen = self._popen
        return popen is not None and popen.poll() is not None

    def log(self) -> str:
        """Return the end of what the sandbox has printed, without keys and sign-in links."""
        try:
            with (self._folder / "log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return _SECRET.sub("[hidden]", text).strip()

    def save_log(self, path: Path) -> None:
        """Write all that the sandbox has printed to a new file, without keys and sign-in links."""
        path.touch(mode=0o600)
        with (self._folder / "log").open(errors="replace") as log, path.open("w") as file:
            file.writelines(_SECRET.sub("[hidden]", line) for line in log)

    def kill(self) -> None:
        """Kill the sandbox, whose data stay."""
        with self._lock:
            self._is_stopped = True
            popen, self._popen = self._popen, None
        self._own.tree.kill()
        if popen is not None:
            popen.wait()
            self._own.tree.group = 0
            self._guard.remove_group(popen.pid)
            if popen.stdin:
                popen.stdin.close()

    def stop(self) -> None:
        """Kill the sandbox, whose data nobody needs, and delete the folder."""
        self.kill()
        self._own.remove()

    def _launch(self) -> None:
        self.data.mkdir(mode=0o700)
        command = [
            sys.executable,
            "-P",
            "-m",
            "connect_sim",
            "sandbox",
            "--port",
            "0",
            "--port-file",
            str(self._folder / "port"),
            "--data-dir",
            str(self.data),
            "--exit-with-parent",
            *self._options,
        ]
        with (self._folder / "log").open("wb") as log:
            self._popen = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**environment(os.environ), **self._settings, **self._own.variables},
                # It stops when this pipe is closed, also if this process is killed.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._own.tree.group = self._popen.pid
        self._guard.add_group(self._popen.pid)

    def _port(self) -> int:
        """Return the port once the sandbox has reported it, else 0."""
        try:
            return int((self._folder / "port").read_text())
        except (OSError, ValueError):
            return 0


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the sandbox: the defaults, whatever a running one is set to."""
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_INHERITED and not name.startswith(("SIM_", "CONNECT_SIM_"))
    }
    folders = [_home(), *filter(None, [kept.get("PYTHONPATH")])]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(folders),
        "PYTHONUNBUFFERED": "1",
        "SIM_PROFILE": "sandbox",
        # The .env in a folder above is the project's.
        "SIM_ENV_FILE": os.devnull,
        # Without a line for each attempt.
        "SIM_QUIET": "true",
    }


def _home() -> str:
    """Return the folder of the program's package: a checkout has not installed it."""
    spec = importlib.util.find_spec("connect_sim")
    assert spec is not None and spec.origin is not None
    return str(Path(spec.origin).parents[1])
