"""How long a lab waits for a handler's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks import lab as labs
from checks.lab import Lab
from tests.unit.checks.test_history import call


@dataclass
class Platform:
    """Nothing is ever finished; each wait has the timeout that it was given.

    Each read of the timeline returns the next of some pages.
    """

    timeouts: list[float] = field(default_factory=list)
    pages: list[list[dict[str, Any]]] = field(default_factory=list)

    def wait_finished(self, orders: Sequence[str], timeout: float) -> bool:
        self.timeouts.append(timeout)
        return False

    def wait_entries(
        self, since: str, kinds: str, timeout: float
    ) -> tuple[list[dict[str, Any]], str]:
        self.timeouts.append(timeout)
        return (self.pages.pop(0) if self.pages else []), f"{since}+"


def lab(death: str | None = None) -> tuple[Lab, Platform]:
    """The lab of a handler that the check started, which may have died; None: one of others."""
    platform, nobody = Platform(), cast(Any, None)
    process = None if death is None else cast(Any, SimpleNamespace(death=death))
    made = Lab(cast(Any, platform), nobody, nobody, nobody, nobody, process=process)
    return made, platform


def test_handler_that_has_died_is_waited_for_no_longer() -> None:
    dead, platform = lab("The handler ended with exit code 1.")
    assert not dead.wait_finished(["PR-1", "PR-2"], timeout=3600)
    assert platform.timeouts == [2.0]
    assert not dead.wait_for(lambda: False, timeout=3600)
    assert not dead.wait_entry("0", "change", timeout=3600)


@pytest.mark.parametrize("death", [None, ""], ids=["of others", "alive"])
def test_other_handler_is_waited_for_until_the_timeout(death: str | None) -> None:
    living, platform = lab(death)
    assert not living.wait_finished(["PR-1"], timeout=0)
    assert not living.wait_for(lambda: False, timeout=0)
    assert not living.wait_entry("0", "change", timeout=0)
    assert platform.timeouts == [0.0, 0.0]


def test_handler_of_others_is_waited_for_at_once() -> None:
    living, platform = lab()
    platform.wait_finished = lambda orders, timeout: timeout > 100  # type: ignore[method-assign]
    assert living.wait_finished(["PR-1"], timeout=3600)


def test_many_orders_are_waited_for_together() -> None:
    living, platform = lab()
    waits: list[Sequence[str]] = []
    platform.wait_finished = (  # type: ignore[method-assign]
        lambda orders, timeout: waits.append(orders) is None
    )
    orders = [f"PR-{number}" for number in range(30)]
    assert living.wait_finished(orders)
    assert [order for wait in waits for order in wait] == orders
    assert len(waits) == 3


def change(order: str, status: str) -> dict[str, Any]:
    return {"kind": "change", "object": order, "data": {"to": status}}


def firing(fault: str) -> dict[str, Any]:
    return {"kind": "fault", "object": None, "data": {"id": fault}}


@pytest.mark.parametrize(
    "entries",
    # The handler works after its response; or it does so without the call of the fault.
    [[firing("FLT-1")], [change("PR-1", "approved")]],
    ids=["fired", "done"],
)
def test_fault_is_armed_until_the_work_on_an_order_meets_it_or_is_done(
    entries: list[dict[str, Any]],
) -> None:
    working, platform = lab()
    others = [change("PR-1", "pending"), change("PR-2", "approved"), firing("FLT-2")]
    platform.pages = [others, [], entries, [firing("FLT-1")]]
    working.wait_fired("0", "PR-1", cast(Any, SimpleNamespace(id="FLT-1")))
    # It has read no further, and each call ends soon, after which an interruption is seen.
    assert platform.pages == [[firing("FLT-1")]]
    assert max(platform.timeouts) <= 2


@pytest.mark.parametrize(
    ("looks", "interval", "ends"),
    [
        # Only when it starts, as do its workers; 0.5 s later it is measured.
        ([], 0.0, 0.5),
        ([0.0], 0.0, 3.0),
        ([0.0, 0.4], 0.0, 3.4),
        ([0.0, 0.6], 0.0, 3.6),
        # By a timer.
        ([0.1, 1.1, 2.1, 3.1, 4.1], 1.0, 4.1),
        ([0.0, 1.9, 3.8, 5.7], 1.9, 4.9),
        ([0.0, 2.5, 5.0, 7.5], 2.5, 5.5),
    ],
)
def test_handler_that_looks_for_work_is_watched_until_it_does_not_look_again(
    monkeypatch: pytest.MonkeyPatch, looks: list[float], interval: float, ends: float
) -> None:
    living, platform = lab()
    now = 0.5

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def wait_entries(since: str, kinds: str, timeout: float) -> tuple[list[Any], str]:
        following = [at for at in looks if now < at <= now + timeout]
        sleep(following[0] - now if following else timeout)
        return [{"object": ""}] * len(following[:1]), since

    platform.wait_entries = wait_entries  # type: ignore[method-assign]
    made = [call("GET", "/requests", began=at) for at in looks]
    platform.calls = lambda since: [each for each in made if each.began <= now]  # type: ignore[attr-defined]
    platform.cursor = lambda: "0"  # type: ignore[attr-defined]
    clock = SimpleNamespace(time=lambda: now, monotonic=lambda: now, sleep=sleep)
    monkeypatch.setattr(labs, "time", clock)
    assert living._interval_by_itself() == pytest.approx(interval)
    assert now == pytest.approx(ends, abs=0.1)
