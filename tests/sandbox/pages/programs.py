"""Programs in the place of `connect-sim check`, and the end of the thread that follows one."""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import pytest

from checks.outputs import json_report
from sandbox import check_runs
from sandbox.models import CheckRun
from tests.unit.checks import reports

TIMEOUT = 30.0
_BEGIN = """
import json, os, signal, sys
def say(event, **fields): print(json.dumps({"event": event, **fields}), flush=True)
report = json.loads(sys.argv[1])
say("begun", checks=["auth.control", "auth.garbage"])
say("started", check="auth.control")
say("ended", check="auth.control", title="A valid call is processed", level="MUST", mark="pass",
    text="Approved.", seconds=0.3)
say("started", check="auth.garbage")
"""
# Ends with a report.
JUDGES = _BEGIN + 'say("report", report=report); sys.exit(1)'
# Goes on until SIGTERM, as a program that is interrupted.
WAITS = (
    _BEGIN.replace("import json", "import time, json")
    + """
def end(number, frame): say("report", report=report); sys.exit(143)
signal.signal(signal.SIGTERM, end)
# The handler may not interrupt a write, which it does itself.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
say("started", check="ready")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
while True: signal.pause()
"""
)
CRASHES = _BEGIN + "os.kill(os.getpid(), signal.SIGKILL)"


class Program:
    """What a run starts, and what its thread has stored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.code, self.report = JUDGES, json_report.as_json(reports.mixed())
        self.stored: queue.SimpleQueue[Any] = queue.SimpleQueue()
        keep = check_runs.keep

        def noted(pk: int, progress: Any) -> bool:
            result = keep(pk, progress)
            self.stored.put(progress)
            return result

        monkeypatch.setattr(check_runs, "keep", noted)
        monkeypatch.setattr(check_runs, "arguments", self._arguments)

    def _arguments(self, run: CheckRun) -> list[str]:
        return [sys.executable, "-I", "-c", self.code, json.dumps(self.report)]

    def wait_for(self, is_so: Callable[[Any], bool]) -> None:
        """Wait until a progress is stored that is so."""
        while not is_so(self.stored.get(timeout=TIMEOUT)):
            pass

    def wait_until_ready(self) -> None:
        """Wait until WAITS handles SIGTERM."""
        self.wait_for(lambda progress: "ready" in progress.get("running", []))


def join(run: CheckRun) -> CheckRun:
    """Wait until a run has ended, and return its row."""
    if job := check_runs.job(run.pk):
        assert job.join(TIMEOUT)
    run.refresh_from_db()
    assert check_runs.job(run.pk) is None
    return run
