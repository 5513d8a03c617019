"""The platform of the tests of all queues."""

from __future__ import annotations

import pytest

from tests.queue import builders
from tests.queue.platforms import Platform


@pytest.fixture
def platform(db: None) -> Platform:
    """Two parties with a known reseller."""
    platform = Platform()
    builders.set_up(platform)
    return platform
