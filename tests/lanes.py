"""Which tests run, in how many processes and in which order (`-p tests.lanes`)."""

from __future__ import annotations

import os
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
# So few files start sooner without worker processes.
FEW_FILES = 3


def nightly(*values: Any) -> Any:
    """Return parameters of a test that only `make nightly` runs."""
    return pytest.param(*values, marks=pytest.mark.nightly)


def pytest_addoption(parser: Any) -> None:
    """Add `--nightly`."""
    parser.addoption("--nightly", action="store_true", help="run only the tests marked nightly")


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: Any) -> int:
    """Return the number of workers for `-n auto`: SIM_TEST_WORKERS, 0 for a few files, or two
    more than there are cores, since tests also wait."""
    if workers := os.environ.get("SIM_TEST_WORKERS"):
        return int(workers)
    paths = [Path(argument.partition("::")[0]) for argument in config.args]
    if len(paths) <= FEW_FILES and all(path.is_file() for path in paths):
        return 0
    return min((os.cpu_count() or 1) + 2, 12)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Distribute by file, except the tests that are distributed one by one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(ONE_BY_ONE) else str(super()._split_scope(nodeid))

    return Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Select the nightly tests or the others, the longest first."""
    nightly = config.getoption("--nightly")
    other = [item for item in items if ("nightly" in item.keywords) != nightly]
    if other:
        config.hook.pytest_deselected(items=other)
    items[:] = [item for item in items if ("nightly" in item.keywords) == nightly]
    items.sort(key=_rank)


def _rank(item: Any) -> int:
    return next(
        (rank for rank, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path)),
        len(LONGEST_FIRST),
    )
