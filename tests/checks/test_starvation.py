"""Whether a machine is too busy to judge a handler: beside real programs on one of its cores."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.processes import ROOT

_BUSY = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print("busy", flush=True)
while True:
    pass
"""
# Takes five samples at a priority, one after another.
_WATCH = """
import os, sys, time
from checks.starvation import Starvation
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.nice(int(sys.argv[1]))

class AfterFive:
    asked = 0

    def wait(self, seconds):
        self.asked += 1
        return self.asked > 5

machine, began = Starvation(), time.monotonic()
machine.sample_until(AfterFive())
print(machine.was_starved(began), machine.slowdown() >= 8, flush=True)
# The end of an interpreter takes long at this priority.
os._exit(0)
"""


@contextmanager
def busy() -> Iterator[None]:
    """A program that uses the first core as much as it may."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stdout.readline()
        try:
            yield
        finally:
            program.kill()


def watched(nice: int) -> str:
    command = [sys.executable, "-c", _WATCH, str(nice)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs one core: Linux only")
def test_machine_is_starved_beside_programs_that_leave_it_next_to_nothing() -> None:
    with busy(), busy():
        assert watched(nice=10) == "True True"
