"""Fixtures for all tests."""

import pytest

from sandbox import api_calls, settling
from sandbox.faults import armed
from tests import flushing, static_files
from tests.api import distributor, nobody, other, seeded, vendor
from tests.planner import analyze
from webhooks.delivery import validator_client

__all__ = ["analyze", "distributor", "nobody", "other", "seeded", "vendor"]

flushing.install()
static_files.install()


@pytest.fixture(autouse=True)
def _nothing_of_other_tests_in_memory() -> None:
    """Forget recorded API calls, and let each test read the timeline from its beginning."""
    api_calls.clear()
    settling.forget()
    armed.forget()
    # A process reads once what is armed: not within what a test counts.
    armed._armed = {}


@pytest.fixture(autouse=True)
def _started_validator_client() -> None:
    """Start the validator client again, which a web server of this process stops at its end."""
    validator_client.start()
