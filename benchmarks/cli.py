"""Measure how long the commands of `connect-sim` take to start, beside a bare Python."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, environment, running, wait_until
from benchmarks.run import Run
from benchmarks.servers import free_port
from benchmarks.table import Bound, Row

START = Bound(300)  # milliseconds
# Both are warm: the files are in the page cache, the bytecode is compiled.
_BARE = [sys.executable, "-c", "pass"]
_PROGRAM = [sys.executable, "-P", "-m", "connect_sim"]


@dataclass(frozen=True, slots=True)
class Cli:
    """How often each command is started."""

    rounds: int


QUICK, FULL = Cli(5), Cli(31)


def measure_cli(run: Run) -> list[Row]:
    """Run a sandbox, start commands in turn with a bare Python, and return the rows."""
    sizes, folder = QUICK if run.quick else FULL, run.folder
    data = folder / "cli"
    env = environment(SIM_DATA_DIR=str(data), SIM_BIND=f"127.0.0.1:{free_port()}")
    server = [sys.executable, str(ROOT / "manage.py"), "sandbox"]
    with running(server, env, folder / "cli.log") as process:
        wait_until(lambda: _is_up(data, env), "the sandbox is up", timeout=120, check=process)
        return [
            _row(f"connect-sim {' '.join(command)}, ms", command, env, sizes)
            for command in (["clock", "show"], ["hold", "list"], ["--help"])
        ]


def _row(figure: str, command: Sequence[str], env: dict[str, str], sizes: Cli) -> Row:
    bare, ours = [], []
    for _ in range(sizes.rounds):
        bare.append(_seconds(_BARE, env))
        ours.append(_seconds([*_PROGRAM, *command], env))
    # The fastest start: other work on the machine only adds to it.
    least = min(ours) * 1e3
    return Row("cli", figure, least, min(bare) * 1e3, "python -c pass", START, absolute=True)


def _seconds(command: Sequence[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _is_up(data: Path, env: dict[str, str]) -> bool:
    if not (data / "sandbox.json").exists():
        return False
    command = [*_PROGRAM, "clock", "show", "--json"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True)
    return done.returncode == 0 and "now" in json.loads(done.stdout)
