"""Fixtures for all tests."""

import pytest

from sandbox import settling
from tests import flushing
from tests.api import distributor, nobody, other, seeded, vendor

__all__ = ["distributor", "nobody", "other", "seeded", "vendor"]

flushing.install()


@pytest.fixture(autouse=True)
def _no_settle_times_of_other_tests() -> None:
    """Let each test read the timeline from its beginning."""
    settling.forget()
