"""From which share of the CPU time on a machine is too busy to judge a handler."""

from __future__ import annotations

import pytest

from checks import starvation
from checks.starvation import Starvation
from tests import patched_time


class Machine:
    """A machine on which work takes so many times its CPU time."""

    def __init__(self, slowdown: float) -> None:
        self._slowdown, self._used = slowdown, 0.0

    def thread_time(self) -> float:
        self._used += 0.0001
        return self._used

    def monotonic(self) -> float:
        return self._used * self._slowdown


class After:
    """An event that happens after so many samples."""

    def __init__(self, samples: int) -> None:
        self._left = samples

    def wait(self, seconds: float) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.mark.parametrize(
    ("slowdown", "is_starved"), [(1, False), (2, False), (5, False), (7.5, False), (9, True)]
)
def test_machine_is_starved_where_work_takes_eight_times_as_long(
    monkeypatch: pytest.MonkeyPatch, slowdown: float, is_starved: bool
) -> None:
    machine, watched = Machine(slowdown), Starvation()
    clocks = {"monotonic": machine.monotonic, "thread_time": machine.thread_time}
    patched_time.replace(monkeypatch, starvation, **clocks)
    monkeypatch.setattr(starvation, "_WORK", b"")
    # Before the first sample, one is taken.
    assert watched.was_starved(0) == is_starved
    watched.sample_until(After(5))  # type: ignore[arg-type]
    assert watched.was_starved(0) == is_starved
    assert watched.slowdown() == pytest.approx(slowdown, rel=0.05)
