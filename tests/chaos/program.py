"""`make chaos`: run the cases at full size, and print a table.

It exits with 1 unless all cases have passed.

A run writes `var/chaos/<time>-<size>.json` after each case. `--publish` also makes it the run that
`docs/reliability.md` shows.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from time import time

import pytest

from tests.chaos import case, results, setups
from tests.chaos.case import FULL, SMALL, Result, Size
from tests.chaos.disks import MemoryDisk
from tests.chaos.faults import DISTRIBUTED, EMBEDDED
from tests.chaos.setups import SetUp

CASES = DISTRIBUTED | EMBEDDED
NOT_RUN = "not run"
# Set-ups: the last one is a sandbox on a disk in memory.
DISTRIBUTED_KIND, EMBEDDED_KIND, MEMORY_DISK = "distributed", "embedded", "memory disk"


def main() -> int:
    """Run the chosen cases; those of one kind share a set-up, unless one of them breaks it."""
    options = _options()
    size, name = (SMALL, "small") if options.small else (FULL, "full")
    run = results.new_run(name)
    print(f"Seed {options.seed}: --seed {options.seed} repeats the random choices.", flush=True)

    def note(result: Result) -> None:
        run.results.append(results.stamp(result))
        run.save(run.path)
        print(f"{result.case}: {result.outcome}", *result.violations, sep="\n  ", flush=True)

    for kind, names in groupby(options.cases or CASES, key=partial(_kind, size)):
        _run(kind, list(names), size, options.seed, note)
    print(*results.table(run.results), sep="\n")
    print(run.path)
    if options.publish:
        publish(run)
    return int(any(each.outcome != case.PASSED for each in run.results))


def _run(kind: str, left: list[str], size: Size, seed: int, note: Callable[[Result], None]) -> None:
    """Run cases on one set-up; after an error, which may have broken it, on another one."""
    while left:
        name = left[0]
        try:
            with tempfile.TemporaryDirectory() as folder, _setup(kind, size, Path(folder)) as setup:
                while left:
                    name = left[0]
                    result = case.run(name, CASES[name], setup, size, seed)
                    left.remove(name)
                    note(result)
        except (pytest.skip.Exception, subprocess.CalledProcessError) as error:
            outcome, problem = NOT_RUN, f"not run: {error}"
        except Exception as error:
            outcome, problem = case.FAILED, f"the case ended with an error: {error!r}"
        else:
            return
        if name not in left:
            # The set-up ended with an error after its last case.
            print(problem, flush=True)
            continue
        left.remove(name)
        setup_name = DISTRIBUTED_KIND if name in DISTRIBUTED else EMBEDDED_KIND
        note(Result(name, setup_name, seed, outcome, violations=[problem]))


def publish(run: results.Run) -> None:
    """Let the page show the results, beside those of other cases that it has."""
    if results.PUBLISHED.exists():
        run = results.merged(results.load(results.PUBLISHED), run)
    run.save(results.PUBLISHED)
    results.PAGE.write_text(results.updated(results.PAGE.read_text(), run))


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


def _kind(size: Size, name: str) -> str:
    """Return which set-up a case needs."""
    if name in DISTRIBUTED:
        return DISTRIBUTED_KIND
    return MEMORY_DISK if name == "disk full" and size is FULL else EMBEDDED_KIND


@contextmanager
def _setup(kind: str, size: Size, folder: Path) -> Iterator[SetUp]:
    if kind == DISTRIBUTED_KIND:
        with setups.server(folder, size.workers) as server:
            yield server
        return
    with setups.embedded(folder, MemoryDisk() if kind == MEMORY_DISK else None) as sandbox:
        yield sandbox
