"""The sandbox and the handler that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import environments
from tests.handlers import Handler, handler
from tests.processes import Sandbox, sandbox

# connect-sdk 16.2 is built by Python 3.8 only.
SDK_16 = environments.older("3.8") is not None


def pytest_report_header() -> str | None:
    """Return the line that names the skipped client."""
    return None if SDK_16 else "connect-sdk 16.2 is not tested: Python 3.8 is not installed"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox as a process, with the demo data."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
        # test_restart tests the clean stop, which takes seconds.
        running.process.kill()


@pytest.fixture
def served() -> Iterator[Handler]:
    """A handler."""
    with handler() as served:
        yield served
