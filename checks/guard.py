"""Clean up after a program that was killed: nothing runs on, no folder is left.

A killed program cannot end what it started. So a small process watches the other end of a pipe:
when that is closed, it kills the processes and deletes the folders that are still listed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

_GONE = 5.0  # seconds for which killed processes may take to disappear


class Guard:
    """The watching process; a context manager. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Isolated from the current folder and the variables of a handler's project.
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Without the mark by which another guard finds this program's processes.
            env={n: v for n, v in os.environ.items() if not n.startswith("CONNECT_SIM_")},
            start_new_session=True,
        )

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the watching process, which kills what is still listed."""
        with self._lock, contextlib.suppress(OSError):
            self._stdin.close()
        self._process.wait()

    def add_group(self, group: int) -> None:
        """Kill this process group if this program is killed."""
        self._write("add", "group", group)

    def remove_group(self, group: int) -> None:
        """The group has ended; its number may be another's now."""
        self._write("remove", "group", group)

    def add_process(self, pid: int) -> None:
        """Kill this process if this program is killed."""
        self._write("add", "process", pid)

    def remove_process(self, pid: int) -> None:
        """The process has ended."""
        self._write("remove", "process", pid)

    def add_mark(self, mark: str) -> None:
        """Kill all processes that have `NAME=value` in their environment (Linux only)."""
        self._write("add", "mark", mark)

    def remove_mark(self, mark: str) -> None:
        """The processes have ended."""
        self._write("remove", "mark", mark)

    def add_folder(self, folder: Path) -> None:
        """Delete this folder if this program is killed. It need not exist yet."""
        self._write("add", "folder", str(folder))

    def remove_folder(self, folder: Path) -> None:
        """The folder has been deleted."""
        self._write("remove", "folder", str(folder))

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _write(self, *words: Any) -> None:
        # Without the guard (somebody has killed it) the program works as well.
        with self._lock, contextlib.suppress(OSError):
            self._stdin.write(json.dumps(words).encode() + b"\n")
            self._stdin.flush()


def _watch() -> None:
    """Read what to clean up until the pipe is closed, and clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listed: set[tuple[str, Any]] = set()
    for line in sys.stdin.buffer:
        action, kind, value = json.loads(line)
        (listed.add if action == "add" else listed.discard)((kind, value))
    deadline = time.monotonic() + _GONE
    while [each for each in listed if _kill(*each)] and time.monotonic() < deadline:
        time.sleep(0.02)
    for kind, value in listed:
        if kind == "folder":
            shutil.rmtree(value, ignore_errors=True)


def _kill(kind: str, value: Any) -> bool:
    """Kill what is listed; return whether to look again."""
    if kind == "mark":
        from checks.processes import ProcessTree

        tree = ProcessTree(0, value)
        tree.send(signal.SIGKILL)
        return tree.is_running()
    with contextlib.suppress(OSError):
        if kind == "group":
            os.killpg(value, signal.SIGKILL)
            return True
        if kind == "process":
            os.kill(value, signal.SIGKILL)
    return False


if __name__ == "__main__":
    # Isolated as it is, it doesn't find its own package.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    _watch()
