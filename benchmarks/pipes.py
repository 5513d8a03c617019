"""Processes of a run, asked one JSON line at a time, and what they cost the processor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


class Broken(Exception):
    """A process of the run failed; the text holds the end of what it wrote."""


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process: none of ours leaks in, and the repo is on the path."""
    ours = ("SIM_", "DJANGO", "PYTHON", "CELERY", "DATABASE_URL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), "SIM_ENV_FILE": os.devnull, **variables}


class Process:
    """A process of the run; `ask` is for those that `serve`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=out, text=True,
            )  # fmt: skip
        self.pid = self._popen.pid

    def ask(self, name: str, **arguments: Any) -> Any:
        """Run a command over there and return its answer."""
        self.tell(name, **arguments)
        return self.answer()

    def tell(self, name: str, **arguments: Any) -> None:
        """Start a command over there; `answer` waits for it."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps([name, arguments]) + "\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise Broken(self._words()) from None

    def answer(self) -> Any:
        """Wait for the answer of the command that was told."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise Broken(self._words())
        return json.loads(line)

    def check(self) -> None:
        """Raise Broken if it has ended."""
        if self._popen.poll() is not None:
            raise Broken(self._words())

    def cpu(self) -> float:
        """Return the seconds of processor time that it and its children have taken."""
        return sum(_cpu(pid) for pid in _family(self.pid))

    def memory(self) -> float:
        """Return the MiB that it and its children have in memory."""
        return sum(_resident(pid) for pid in _family(self.pid))

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _words(self) -> str:
        end = self.log.read_text(errors="replace")[-3000:]
        return f"{self.log.stem} ended with {self._popen.poll()}:\n{end}"


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run a process until the block ends."""
    process = Process(command, env, log)
    try:
        yield process
    finally:
        process.stop()


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the benchmarks with this Python."""
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments]


def serve(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Answer the commands that come in, one JSON line each, until SIGTERM or the end of them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(commands[name](**arguments)), flush=True)


def until(holds: Callable[[], Any], what: str, *, timeout: float, check: Process) -> None:
    """Wait until something holds; raise Broken if `check` ends meanwhile, or time runs out."""
    deadline = time.monotonic() + timeout
    while not holds():
        check.check()
        if time.monotonic() > deadline:
            raise Broken(f"waited {timeout:g} s in vain until {what}")
        time.sleep(0.05)


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _family(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from _family(int(child))
