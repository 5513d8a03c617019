"""What all tests of waits check at their end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.clock import moves
from tests.background import threads
from tests.engines import until


@pytest.fixture(autouse=True)
def no_wait_remains() -> Iterator[None]:
    """Fail a test after which a thread observes waits or moves the clock."""
    yield
    until(lambda: not threads() & {"observer", "wait-mover"}, "no thread waits")
    assert not moves.clock_state().moving
