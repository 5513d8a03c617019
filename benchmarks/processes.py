"""Processes of a run: commands as JSON lines over pipes, CPU time and memory from /proc."""

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


class BenchmarkError(Exception):
    """A process of the run failed; the message includes the end of its log."""


def environment(**variables: str) -> dict[str, str]:
    """Return a process's environment: without our settings, with the repository on the path."""
    prefixes = ("SIM_", "DJANGO", "PYTHON", "CELERY", "DATABASE_URL")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    return {**inherited, "PYTHONPATH": str(ROOT), "SIM_ENV_FILE": os.devnull, **variables}


class Process:
    """A process of the run; `ask` works with those that `serve`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
            )
        self.pid = self._popen.pid

    def ask(self, name: str, **arguments: Any) -> Any:
        """Run a command in the process and return its result."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        try:
            self._popen.stdin.write(json.dumps([name, arguments]) + "\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkError(self._failure()) from None
        line = self._popen.stdout.readline()
        if not line:
            raise BenchmarkError(self._failure())
        return json.loads(line)

    def check(self) -> None:
        """Raise BenchmarkError if the process has ended."""
        if self._popen.poll() is not None:
            raise BenchmarkError(self._failure())

    def cpu(self) -> float:
        """Return the CPU seconds of the process and its children."""
        return tree_cpu(self.pid)

    def memory(self) -> float:
        """Return the memory of the process and its children in MiB: what they share counts once."""
        return sum(_memory(pid) for pid in _process_tree(self.pid))

    def stop(self) -> None:
        """Terminate the process; kill it after 20 s."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            self._popen.wait(20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _failure(self) -> str:
        tail = self.log.read_text(errors="replace")[-3000:]
        return f"{self.log.stem} ended with {self._popen.poll()}:\n{tail}"


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run a process until the block ends."""
    process = Process(command, env, log)
    try:
        yield process
    finally:
        process.stop()


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the benchmarks."""
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments]


def serve(commands: Mapping[str, Callable[..., Any]]) -> None:
    """Run commands from stdin, one JSON line each, until SIGTERM or the end of the input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(commands[name](**arguments)), flush=True)


def wait_until(condition: Callable[[], Any], what: str, *, timeout: float, check: Process) -> None:
    """Wait for a condition; raise BenchmarkError if `check` ends, or after the timeout."""
    deadline = time.monotonic() + timeout
    while not condition():
        check.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"timed out after {timeout:g} s: {what}")
        time.sleep(0.05)


def tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    return sum(_cpu(each) for each in _process_tree(pid))


def server_cpu(pid: int) -> float:
    """Return the CPU seconds of a process of a PostgreSQL server, which must be on this machine."""
    # `schedstat` is in nanoseconds, `stat` in hundredths of a second.
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        sys.exit("PostgreSQL must run on this machine: its CPU time is read from /proc.")


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _process_tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from _process_tree(int(child))
