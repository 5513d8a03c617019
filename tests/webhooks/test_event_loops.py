"""What a process with an engine sets of the interpreter."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from requests_queue import event_loops
from webhooks.delivery import engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def interpreter() -> Iterator[None]:
    """Python's own values, restored afterwards."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.enable()


def test_threads_switch_every_half_millisecond_beside_an_engine(interpreter: None) -> None:
    engine.start()
    try:
        assert sys.getswitchinterval() == pytest.approx(event_loops.SWITCH_INTERVAL) == 0.0005
    finally:
        engine.stop()
