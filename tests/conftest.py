"""Fixtures for all tests."""

import gc
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from requests_queue.catalog import key_uses
from sandbox.clock import settling
from sandbox.faults import armed
from sandbox.readings import chosen
from sandbox.timeline import api_calls
from tests import engines, flushing, make, static_files
from tests.api import distributor, nobody, other, seeded, vendor
from tests.planner import analyze
from tests.shared_sandbox import administrator, running, session, shared_sandbox
from webhooks.delivery import validators, wakeup
from webhooks.delivery.engine import Engine
from webhooks.models import Webhook

__all__ = [
    "administrator",
    "analyze",
    "distributor",
    "nobody",
    "other",
    "running",
    "seeded",
    "session",
    "shared_sandbox",
    "vendor",
]

flushing.install()
static_files.install()


def pytest_xdist_auto_num_workers(config: Any) -> int:
    """Return the number of workers for `-n auto`: three more than there are cores, since tests also
    wait; none for up to three files, which start sooner without."""
    paths = [argument.partition("::")[0] for argument in config.args]
    are_few = len(paths) <= 3 and all(Path(path).is_file() for path in paths)
    return 0 if are_few else min((os.cpu_count() or 1) + 3, 12)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[pytest.Item]) -> None:
    """Let each worker start with tests that take long, or with those that share a fixture.

    pytest-xdist gives each worker a part of the list, and lets others steal from its end only.
    """
    # The longest first: the tests on PostgreSQL are one test here.
    names = (
        "tests/runtime/test_on_postgres.py",
        "tests/checks/test_matrix.py::test_reference_handler_passes",
        "tests/checks/test_matrix.py",
    )
    long: list[pytest.Item] = []
    pages: list[pytest.Item] = []
    once: list[pytest.Item] = []
    shared: list[pytest.Item] = []
    rest: list[pytest.Item] = []
    for item in items:
        if item.nodeid.startswith(names):
            long.append(item)
        elif item.get_closest_marker("browser"):
            pages.append(item)
        elif item.get_closest_marker("clients") or "called" in getattr(item, "fixturenames", ()):
            once.append(item)
        elif "shared_sandbox" in getattr(item, "fixturenames", ()):
            shared.append(item)
        else:
            rest.append(item)
    long.sort(key=lambda item: [item.nodeid.startswith(name) for name in names].index(True))
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    others = max(1, workers - 2)
    # Their fixtures make all calls of a document or a client: none is taken from one worker.
    firsts = [*(long[number::others] for number in range(others)), pages, [*once, *shared]]
    size, left = len(items) // workers, iter(rest)
    items.clear()
    for number, first in enumerate(firsts, 1):
        items += first
        items += islice(left, max(0, number * size - len(items)))
    items += left


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector skip the collected tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture
def catalog(db: None) -> make.Catalog:
    """A platform with a vendor, a distributor and a product."""
    return make.catalog()


@pytest.fixture
def hook(catalog: make.Catalog) -> Webhook:
    """A webhook of the vendor."""
    return make.webhook(catalog)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that wake-ups reach, as in a sandbox with one process."""
    with engines.running() as [engine]:
        monkeypatch.setattr(wakeup, "send", engine.wake)
        yield engine


@pytest.fixture(autouse=True)
def _nothing_of_other_tests_in_memory() -> None:
    """Forget recorded API calls, and let each test read the timeline from its beginning."""
    api_calls.clear()
    settling.forget()
    armed.forget()
    # A web server of a test without a database would store them.
    key_uses._uses.clear()
    # A process reads once what is armed: not within what a test counts.
    armed._armed = {}
    chosen._chosen = {}


@pytest.fixture(autouse=True)
def _started_validators() -> None:
    """Allow requests to validators again, which a web server of this process ends at its stop."""
    validators.start()
