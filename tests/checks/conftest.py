"""One sandbox per process, which all tests that run checks of handlers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.checks import sandboxes
from tests.checks.sandboxes import Running


@pytest.fixture(scope="session")
def started_sandbox() -> Iterator[Running]:
    with sandboxes.started() as [running]:
        yield running


@pytest.fixture(scope="module")
def sandbox(started_sandbox: Running) -> Iterator[Running]:
    """A sandbox that checks use instead of starting one."""
    with sandboxes.lent([started_sandbox]):
        yield started_sandbox
