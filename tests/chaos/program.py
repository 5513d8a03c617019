"""`make chaos`: run the cases at full size, print a table, and exit with 1 unless all passed.

A run writes `var/chaos/<time>-<size>.json` after each case. `--publish` also makes it the run that
`docs/reliability.md` shows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

import pytest

from tests.chaos import case, results, setups
from tests.chaos.case import FULL, SMALL, Result, Size
from tests.chaos.disks import MemoryDisk
from tests.chaos.faults import DISTRIBUTED, EMBEDDED
from tests.chaos.setups import SetUp
from tests.fork_server import NEW_PROCESSES

CASES = DISTRIBUTED | EMBEDDED
NOT_RUN = "not run"


def main() -> int:
    """Run the chosen cases, each on a set-up of its own."""
    options = _options()
    # Real starts of real programs.
    os.environ[NEW_PROCESSES] = "1"
    size, name = (SMALL, "small") if options.small else (FULL, "full")
    run = results.new_run(name, options.seed)
    print(f"Seed {options.seed}: --seed {options.seed} repeats the random choices.", flush=True)
    for chosen in options.cases or CASES:
        print(f"{chosen} …", flush=True)
        result = _run(chosen, size, options.seed)
        run.results.append(result)
        run.save(run.path)
        print(f"{chosen}: {result.outcome}", *result.violations, sep="\n  ", flush=True)
    print(*results.table(run.results), sep="\n")
    print(run.path)
    if options.publish:
        run.save(results.PUBLISHED)
        results.PAGE.write_text(results.updated(results.PAGE.read_text(), run))
    return int(any(result.outcome != case.PASSED for result in run.results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"{', '.join(CASES)}, or all")
    parser.add_argument("--seed", type=int, default=int(time()) % 100_000)
    parser.add_argument("--small", action="store_true", help="the size of the tests, in seconds")
    parser.add_argument("--publish", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}: {', '.join(CASES)}")
    return options


def _run(name: str, size: Size, seed: int) -> Result:
    try:
        with tempfile.TemporaryDirectory() as folder, _setup(name, size, Path(folder)) as setup:
            return case.run(name, CASES[name], setup, size, seed)
    except (pytest.skip.Exception, subprocess.CalledProcessError) as error:
        kind = "distributed" if name in DISTRIBUTED else "embedded"
        return Result(name, kind, seed, NOT_RUN, violations=[f"Not run: {error}"])


@contextmanager
def _setup(name: str, size: Size, folder: Path) -> Iterator[SetUp]:
    if name in DISTRIBUTED:
        with setups.server(folder, size.workers) as server:
            yield server
        return
    disk = MemoryDisk() if name == "disk full" and size is FULL else None
    with setups.embedded(folder, disk) as sandbox:
        yield sandbox
