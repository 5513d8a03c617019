"""`connect-sim check` ends by a signal, and leaves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import until
from tests.processes import ROOT, environment, restore_hangup


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_what_was_started(number: signal.Signals, tmp_path: Path) -> None:
    env = environment(tmp_path / "data", TMPDIR=str(tmp_path))
    command = [sys.executable, "-m", "connect_sim", "check", "--jobs", "1", "--json", "-"]
    program = subprocess.Popen(
        # It does not listen: the run waits for that.
        [*command, "--run", "sleep 600"],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_hangup,
    )
    try:
        until(lambda: list(tmp_path.glob("*/log")), "the start of the sandbox", timeout=30)
        program.send_signal(number)
        out, errors = program.communicate(timeout=30)
    finally:
        program.kill()
        program.wait()
    assert program.returncode == 128 + number, errors
    assert errors.startswith("Interrupted: ending what was started.\n")
    assert '"error": "The run was interrupted."' in out
    assert not list(tmp_path.iterdir())
