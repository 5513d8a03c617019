"""Start a sandbox as a child process that ends with this one."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

from pytest_connect_sim.server import SandboxError, Server, read_keys, without_secrets

STOP = 10.0  # seconds for which it may stop
_POLL = 0.02
_SHOWN = 2000  # characters of its output in an error
# Of the project under test: its database and broker are not the sandbox's.
_NOT_INHERITED = (
    "DATABASE_URL",
    "CELERY_BROKER_URL",
    "DJANGO_SETTINGS_MODULE",
    "SIM_BIND",
    "SIM_API_URL",
    "SIM_VENDOR_API_KEY",
    "SIM_PROVIDER_API_KEY",
)


def environment(data_dir: Path) -> dict[str, str]:
    """Return the environment of the child: this one's, without the settings of the project."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return {
        **kept,
        "SIM_PROFILE": "sandbox",
        "SIM_DATA_DIR": str(data_dir),
        # The .env in the current folder is the project's.
        "SIM_ENV_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
    }


class Child:
    """A sandbox that this process has started; `stop` ends it."""

    def __init__(self, command: list[str], folder: Path, timeout: float) -> None:
        self._folder, self._timeout = folder, timeout
        self._data, self._port_file = folder / "data", folder / "port"
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file.unlink(missing_ok=True)
        self.log = folder / "sandbox.log"
        self._command = [
            *command,
            "--port",
            "0",
            "--port-file",
            str(self._port_file),
            "--data-dir",
            str(self._data),
            "--exit-with-parent",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start the sandbox, and return it when it answers; raises SandboxError."""
        try:
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    # It stops when this pipe is closed, also if this process is killed.
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(self._data),
                )
        except OSError as error:
            raise SandboxError(
                f"The sandbox cannot be started ({error.strerror}): {self._command[0]}"
            ) from None
        try:
            return self._started(self._process)
        except BaseException:
            self.stop()
            raise

    def _started(self, process: subprocess.Popen[bytes]) -> Server:
        deadline = time.monotonic() + self._timeout
        while not (port := self._port()):
            if process.poll() is not None:
                raise SandboxError(f"The sandbox ended at its start:\n{self._printed()}")
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"The sandbox did not start within {self._timeout:g} s. The ini option "
                    f"connect_sim_start_timeout allows more.\n{self._printed()}"
                )
            threading.Event().wait(_POLL)
        content = read_keys(self._data / "sandbox.json")
        keys = content["vendor_api_key"], content["provider_api_key"]
        return Server(f"http://127.0.0.1:{port}", *keys, log=self.log)

    def _port(self) -> int:
        """Return the port once the sandbox has reported it, else 0."""
        try:
            return int(self._port_file.read_text())
        except (OSError, ValueError):
            return 0

    def _printed(self) -> str:
        command = " ".join(self._command)
        text = without_secrets(self.log.read_text(errors="replace"))[-_SHOWN:].strip()
        return f"{command}\n{text}"

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
