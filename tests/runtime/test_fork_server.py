"""A forked program has what a new process has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import fork_server
from tests.lanes import drawn
from tests.processes import Process, environment, manage
from tests.runtime.test_settings import SERVER

pytestmark = drawn(2)

_STATE = """
import json, os, re, signal, sys, threading
from django.conf import settings
from django.db import connection
from drf_spectacular.settings import spectacular_settings
names = ("SIGINT", "SIGTERM", "SIGCHLD", "SIGPIPE", "SIGHUP")
print(json.dumps({
    "database": repr(connection.settings_dict),
    "arguments": sys.argv,
    "folder": os.getcwd(),
    "path": sys.path,
    "environment": dict(os.environ),
    "signals": [repr(signal.getsignal(getattr(signal, name))) for name in names],
    "files": sorted(os.listdir("/dev/fd")),
    "streams": [
        [each.encoding, each.errors, each.line_buffering, each.write_through, each.fileno()]
        for each in (sys.stdin, sys.stdout, sys.stderr)
    ],
    "threads": threading.active_count(),
    **{
        name: re.sub(" at 0x[0-9a-f]+", "", repr(getattr(settings, name)))
        for name in dir(settings) if name.isupper()
    },
    "servers": spectacular_settings.SERVERS,
}))
"""


def state(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("profile", [{"SIM_BIND": "127.0.0.1:9999", "SIM_CALLS": "7"}, SERVER],
                         ids=["sandbox", "server"])  # fmt: skip
def test_forked_command_has_the_state_of_a_new_process(
    tmp_path: Path, profile: dict[str, str]
) -> None:
    env = environment(tmp_path, **profile)
    command = manage("shell", "--no-imports", "-v0", "-c", _STATE)
    new = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    forked, expected = state(fork_server.run(command, env, tmp_path)), state(new)
    assert {name for name in expected if forked[name] != expected[name]} == set()


def test_forked_commands_have_different_random_numbers(tmp_path: Path) -> None:
    command = manage("shell", "--no-imports", "-v0", "-c", "import random; print(random.random())")
    runs = [fork_server.run(command, environment(tmp_path)).stdout for _ in range(2)]
    assert len(set(runs)) == 2


def test_exit_code_and_streams_are_those_of_the_command(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('error', file=sys.stderr); sys.exit(7)"
    command = manage("shell", "--no-imports", "-v0", "-c", code)
    done = fork_server.run(command, environment(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "error\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_ends_a_forked_process(tmp_path: Path, number: signal.Signals) -> None:
    code = "import threading; print('ready'); threading.Event().wait()"
    command = manage("shell", "--no-imports", "-v0", "-c", code)
    process = Process(command, environment(tmp_path), tmp_path / "log").start()
    assert isinstance(process.popen, fork_server.Forked)
    with pytest.raises(subprocess.TimeoutExpired):
        process.popen.wait(0.05)
    assert process.popen.poll() is None
    process.popen.send_signal(number)
    assert process.popen.wait(10) == -number
    with pytest.raises(ProcessLookupError):
        os.kill(process.popen.pid, 0)


def test_other_interpreter_options_start_a_new_process(tmp_path: Path) -> None:
    env = environment(tmp_path, PYTHONDEVMODE="1")
    with (tmp_path / "log").open("wb") as log:
        process = fork_server.start([sys.executable, "-c", ""], env, tmp_path, log.fileno())
    assert isinstance(process, subprocess.Popen)
    assert process.wait(10) == 0
