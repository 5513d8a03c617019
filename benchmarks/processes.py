"""Processes that are asked by JSON lines over pipes; CPU time and memory from /proc."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests import processes
from tests.processes import ROOT, pause

_TICK = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss: +(\d+)", re.MULTILINE)


class BenchmarkError(Exception):
    """A process of the run failed, or a file can't be used; the message says why."""


class Process(processes.Process):
    """A process of the run; `ask` works with those that `serve`."""

    def start(self) -> Process:
        """Start it, with pipes for questions and answers."""
        pipe = subprocess.PIPE
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                self.command, cwd=ROOT, env=self.env, stdin=pipe, stdout=pipe, stderr=out
            )
        return self

    def ask(self, name: str, **arguments: Any) -> Any:
        """Run a command in the process and return its result."""
        assert self.popen.stdin is not None and self.popen.stdout is not None
        with suppress(BrokenPipeError):
            self.popen.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
            self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        if not line:
            self.popen.wait(20)
            self.check()
        return json.loads(line)

    def check(self) -> None:
        """Raise BenchmarkError with the end of its log if the process has ended."""
        if self.popen.poll() is not None:
            ended = f"{self.log.stem} ended with {self.popen.returncode}"
            raise BenchmarkError(f"{ended}:\n{self.printed[-3000:]}")

    def wait_until(self, condition: Callable[[], Any], what: str, timeout: float = 300) -> Any:
        """Wait until a value is true, and return it; raise BenchmarkError if the process ends, or
        after the timeout."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            self.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"timed out after {timeout:g} s: {what}")
            pause()
        return value


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Process]:
    """Run a process until the block ends."""
    process = Process(command, dict(env), log).start()
    try:
        yield process
    finally:
        with suppress(subprocess.TimeoutExpired):  # it has been killed
            process.stop()


def tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    fields = [_read(each, "stat").rpartition(")")[2].split() for each in _process_tree(pid)]
    return sum(int(value) for each in fields for value in each[11:13]) / _TICK


def tree_memory(pid: int) -> float:
    """Return the memory of a process and its children in MiB: what they share counts once."""
    texts = [_read(each, "smaps_rollup") for each in _process_tree(pid)]
    return sum(int(size) for text in texts for size in _PSS.findall(text)) / 1024


def _read(pid: int, name: str) -> str:
    """Return a file of /proc, which is empty for a process that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text()
    return ""


def _process_tree(pid: int) -> Iterator[int]:
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from _process_tree(int(child))
