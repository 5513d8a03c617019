"""A handler of each test. The sandbox is `running` of `tests.shared_sandbox`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import environments
from tests.handlers import Handler, handler

# connect-sdk 16.2 is built by Python 3.8 only.
SDK_16 = environments.older("3.8") is not None


def pytest_report_header() -> str | None:
    """Return the line that names the skipped client."""
    return None if SDK_16 else "connect-sdk 16.2 is not tested: Python 3.8 is not installed"


@pytest.fixture
def served() -> Iterator[Handler]:
    """A handler."""
    with handler() as served:
        yield served
