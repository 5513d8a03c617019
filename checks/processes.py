"""End a process together with everything that it has started (Linux, macOS)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
# Seconds between two looks at all processes of the machine: short first, then longer.
_POLL, _LONGEST_POLL = 0.005, 0.1
# Seconds for which killed processes may take to disappear.
_GONE = 5.0


class ProcessTree:
    """The process group that a child leads, and what has left the group.

    On Linux, processes that moved to another group are found by their environment, which they
    inherit: it has `mark`, `NAME=value`. Elsewhere the group is all that can be found. Group 0
    means that there is none, or none yet.
    """

    def __init__(self, group: int, mark: str) -> None:
        self.group, self._mark = group, mark.encode()
        # When the processes were started that have been found (Linux only).
        self._found: dict[int, str] = {}

    def is_running(self) -> bool:
        """Return whether any process is left; one that only waits to be reaped is not."""
        if (_PROC / "self").exists():
            return any(True for _ in self._processes())
        return self._send_to_group(0)

    def send(self, number: int) -> None:
        """Send a signal to all processes."""
        self._send_to_group(number)
        for pid, group in self._processes():
            if group != self.group:
                _send(pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left; return whether that is so."""
        deadline, pause = time.monotonic() + seconds, _POLL
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            threading.Event().wait(pause)
            pause = min(pause * 2, _LONGEST_POLL)
        return True

    def kill(self) -> bool:
        """Kill all processes, also those that start meanwhile; return whether all are gone."""
        deadline = time.monotonic() + _GONE
        self.send(signal.SIGKILL)
        while not self.wait(_LONGEST_POLL):
            if time.monotonic() > deadline:
                return False
            self.send(signal.SIGKILL)
        return True

    def _send_to_group(self, number: int) -> bool:
        return self.group > 0 and _send(-self.group, number)

    def _processes(self) -> Iterator[tuple[int, int]]:
        """Yield ids and groups of the processes (Linux only)."""
        for folder in _PROC.glob("[0-9]*"):
            try:
                # The name before it, in parentheses, may contain anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                state, group, start = fields[0], int(fields[2]), fields[19]
            except (OSError, ValueError, IndexError):
                continue
            pid = int(folder.name)
            # A process that is ending loses its environment before it closes its files.
            # That of the system's own processes is 0.
            is_ours = 0 < self.group == group or self._found.get(pid) == start
            if state not in "ZX" and (is_ours or _has_variable(folder, self._mark)):
                self._found[pid] = start
                yield pid, group


def _has_variable(folder: Path, entry: bytes) -> bool:
    try:
        return entry in (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        # It ended meanwhile, or is another user's. A zombie has no environment.
        return False


def _send(pid: int, number: int) -> bool:
    """Send a signal; return whether there was a process that could get it."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
