"""Which tests run, in how many processes and in which order (`-p tests.lanes`)."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Files and folders that take longest start first: otherwise one worker would still run one of
# them when the others have finished.
LONGEST_FIRST = (
    "tests/runtime/test_on_postgres.py",
    "tests/chaos/",
    "tests/checks/",
    "tests/contract/",
    "tests/e2e/",
    "tests/runtime/",
)
# Files are distributed as a whole, since their tests share servers; these tests are independent.
ONE_BY_ONE = ("tests/runtime/test_on_postgres.py", "tests/checks/test_matrix.py")
# These mostly wait: with as many of the others beside them, they leave no core idle.
WAITING = "tests/checks/test_matrix.py"
# They share a fixture that takes longer than their tests.
TOGETHER = dict.fromkeys(
    ("tests/contract/test_openapi.py", "tests/contract/test_own_document.py"),
    "tests/contract/observed",
)
# Their modules start sandboxes, clients or browsers, and run for one commit in six.
_SHARE = 6
DRAWN_FILES = re.compile(r"tests/(chaos|e2e|packaging|plugin)/|_browser\.py::")
# So few files start sooner without worker processes.
FEW_FILES = 3


def nightly(*values: Any) -> Any:
    """Return parameters of a test that only `make nightly` runs."""
    return pytest.param(*values, marks=pytest.mark.nightly)


def one_of(values: Sequence[Any]) -> list[Any]:
    """Return parameters of which `make test` runs one, drawn by the commit, and `make nightly` the
    others: for fixtures, and tests that share one."""
    chosen = random.Random(f"{values} {commit()}").randrange(len(values))
    return [value if at == chosen else nightly(value) for at, value in enumerate(values)]


def drawn(share: int) -> Any:
    """Return the mark of a test of whose parameters one in `share` runs in `make test`, and one at
    least. Which ones depends on the commit, so that all of them run in a few commits; the others
    are nightly."""
    return pytest.mark.drawn(share)


def drawn_file(share: int) -> Any:
    """Return the mark of a module that runs in `make test` for one commit in `share`, and at night.
    Of the modules with the same share, each commit runs the same number, and one at least. It is
    for clients and pages that take long to set up, and rarely break alone. Without the mark it is
    one in six for DRAWN_FILES."""
    return pytest.mark.drawn_file(share)


@cache
def commit() -> str:
    """Return the commit, or a constant where there is no Git."""
    if not shutil.which("git"):
        return ""
    command = ["git", "rev-parse", "HEAD"]
    folder = Path(__file__).parent
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.strip()


def pytest_addoption(parser: Any) -> None:
    """Add `--nightly` and `--no-draw`."""
    parser.addoption("--nightly", action="store_true", help="run only the tests marked nightly")
    parser.addoption("--no-draw", action="store_true", help="run all parameters and files")


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: Any) -> int:
    """Return the number of workers for `-n auto`: SIM_TEST_WORKERS, 0 for a few files, or three
    more than there are cores, since tests also wait."""
    if workers := os.environ.get("SIM_TEST_WORKERS"):
        return int(workers)
    if _are_few_files(config):
        return 0
    return min((os.cpu_count() or 1) + 3, 12)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Distribute by file, except the tests that are distributed one by one.

    Every other worker takes the tests that mostly wait first, and the rest of them last.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            prefers_waiting = self.nodes.index(node) % 2 == 0
            for scope in self.workqueue:
                if scope.startswith(WAITING) == prefers_waiting:
                    self.workqueue.move_to_end(scope, last=False)
                    break
            super()._assign_work_unit(node)

        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(ONE_BY_ONE):
                return nodeid
            file = str(super()._split_scope(nodeid))
            return TOGETHER.get(file, file)

    return Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Select the nightly tests or the others, the longest first.

    Nothing is drawn from a few files, which somebody has chosen.
    """
    if not _are_few_files(config) and not config.getoption("--no-draw"):
        draw(items)
    nightly = config.getoption("--nightly")
    other = [item for item in items if ("nightly" in item.keywords) != nightly]
    if other:
        config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if ("nightly" in item.keywords) == nightly]
    items.sort(key=_rank)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Search for garbage less often, and never among thousands of collected tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def _rank(item: Any) -> int:
    return next(
        (rank for rank, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path)),
        len(LONGEST_FIRST),
    )


def _are_few_files(config: Any) -> bool:
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    return len(paths) <= FEW_FILES and all(path.is_file() for path in paths)


def draw(items: list[Any]) -> None:
    """Mark the tests as nightly that are not drawn."""
    groups: dict[str, list[Any]] = defaultdict(list)
    # Of each share as many files as it says, so that commits take about the same time.
    files: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        if item.get_closest_marker("drawn") and "nightly" not in item.keywords:
            groups[item.nodeid.partition("[")[0]].append(item)
        mark = item.get_closest_marker("drawn_file")
        share = mark.args[0] if mark else _SHARE if DRAWN_FILES.search(item.nodeid) else 1
        files[share][item.nodeid.partition("::")[0]].append(item)
    for share, by_file in files.items():
        for file in _beyond(by_file, share):
            for item in by_file[file]:
                item.add_marker(pytest.mark.nightly)
    for group in groups.values():
        by_id = {item.nodeid: item for item in group}
        for nodeid in _beyond(by_id, group[0].get_closest_marker("drawn").args[0]):
            by_id[nodeid].add_marker(pytest.mark.nightly)


def _beyond(ids: Iterable[str], share: int) -> list[str]:
    """Return those that are not drawn: all but one in `share`, and one at least."""
    ordered = sorted(ids, key=_lot)
    return ordered[-(-len(ordered) // share) :]


def _lot(nodeid: str) -> str:
    return hashlib.sha256(f"{commit()} {nodeid}".encode()).hexdigest()
