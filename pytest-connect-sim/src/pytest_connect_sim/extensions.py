"""`connect_sim.extension(folder)`: an extension whose runner `cextrun` works for the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_connect_sim.client import Client
from pytest_connect_sim.objects import Named
from pytest_connect_sim.server import without_secrets

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]
TIMEOUT = 60.0  # seconds until the runner is connected
STOP = 10.0  # seconds for which it may stop
# The runner has one connection for each.
_KINDS = 2
_POLL = 0.05
_SHOWN = 16 * 1024  # bytes of its output in a report
# Without them, what the runner sends to this machine goes nowhere else.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class ExtensionError(Exception):
    """The runner of an extension cannot be started; the text says what to do."""


class Extension(Named):
    """An extension with a running runner: `id` is the service, `environment` its environment."""

    def __init__(self, client: Client, data: Json) -> None:
        self._client, self.data = client, data
        self.id: str = data["id"]
        self.environment: str = data["environment"]
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (until the runner has ended)

    @property
    def path(self) -> str:
        """The path of its environment in Connect's API."""
        return f"/public/v1/devops/services/{self.id}/environments/{self.environment}"

    def tasks(self) -> list[Json]:
        """Return its tasks, the newest first."""
        return list(self._client.pages(f"{self.path}/tasks"))

    def output(self) -> str:
        """Return the end of what the runner has printed, without API keys."""
        handle = self._output.fileno()
        size = os.fstat(handle).st_size
        # The runner writes at the position of the same file.
        text = os.pread(handle, _SHOWN, max(0, size - _SHOWN)).decode(errors="replace")
        return without_secrets(text)

    def start(
        self, command: list[str], folder: Path, variables: Mapping[str, str], timeout: float
    ) -> None:
        """Start the runner, and wait until it is connected; raises ExtensionError."""
        kept = {k: v for k, v in os.environ.items() if k.upper() not in _PROXIES}
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**kept, "PYTHONUNBUFFERED": "1", **variables},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                # Its workers are processes of their own, which `stop` may have to kill.
                start_new_session=True,
            )
        except OSError as error:
            raise ExtensionError(
                f"The runner cannot be started ({error.strerror}): {command[0]} in {folder}"
            ) from None
        try:
            self._wait(self._process, timeout)
        except BaseException:
            self.stop()
            raise

    def _wait(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._is_connected():
            if process.poll() is not None:
                raise ExtensionError(f"The runner ended at its start:\n{self.output().strip()}")
            if time.monotonic() > deadline:
                raise ExtensionError(
                    f"The runner did not connect within {timeout:g} s; `timeout=` allows more.\n"
                    f"{self.output().strip()}"
                )
            threading.Event().wait(_POLL)

    def _is_connected(self) -> bool:
        instances = self._client.get(self.path)["instances"]
        return [each["status"] for each in instances].count("connected") == _KINDS

    def stop(self) -> None:
        """End the runner: by SIGTERM, and after 10 s by SIGKILL."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def command_of(executable: str, arguments: Iterable[str]) -> list[str]:
    """Return the command of the runner, as it is found; raises ExtensionError."""
    # The program of a virtual environment that isn't activated is beside its Python.
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(executable, path=folders)
    if found is None:
        raise ExtensionError(
            f"{executable} is not found. Install the runner where the tests run, pip install "
            "connect-extension-runner, or name it: extension(folder, executable=…)."
        )
    return [found, *arguments]


def variables_of(data: Json, key: str) -> dict[str, str]:
    """Return the variables of the runner's process; raises ExtensionError."""
    variables = dict(data["variables"])
    if not Path(variables["SSL_CERT_FILE"]).is_file():
        raise ExtensionError(
            f"The certificates of the sandbox are not on this machine: {variables['SSL_CERT_FILE']}"
        )
    return {**variables, "API_KEY": f"ApiKey {key}", "INSTANCE_ID": f"pytest-{os.getpid()}"}
