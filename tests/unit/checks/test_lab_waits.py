"""How long a lab waits for a handler's work."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox.checks.catalog import crash
from sandbox.checks.good_run import Step
from sandbox.checks.lab import Lab


@dataclass
class Platform:
    """Nothing is ever finished; each wait has the timeout that it was given."""

    timeouts: list[float] = field(default_factory=list)

    def wait_finished(self, order: str, timeout: float) -> bool:
        self.timeouts.append(timeout)
        return False


@dataclass
class Process:
    death: str


def lab(process: Process | None) -> tuple[Lab, Platform]:
    platform, nobody = Platform(), cast(Any, None)
    made = Lab(cast(Any, platform), nobody, nobody, nobody, nobody, process=cast(Any, process))
    return made, platform


def test_handler_that_has_died_is_waited_for_no_longer() -> None:
    dead, platform = lab(Process("The handler ended with exit code 1."))
    assert not dead.wait_finished(["PR-1", "PR-2"], timeout=3600)
    assert platform.timeouts == [2.0]
    assert not dead.wait_for(lambda: False, timeout=3600)


@pytest.mark.parametrize("process", [None, Process("")], ids=["of others", "alive"])
def test_other_handler_is_waited_for_until_the_timeout(process: Process | None) -> None:
    living, platform = lab(process)
    assert not living.wait_finished(["PR-1"], timeout=0)
    assert not living.wait_for(lambda: False, timeout=0)
    assert platform.timeouts == [0.0]


def test_handler_of_others_is_waited_for_at_once() -> None:
    living, platform = lab(None)
    platform.wait_finished = lambda order, timeout: timeout > 100  # type: ignore[method-assign]
    assert living.wait_finished(["PR-1"], timeout=3600)


class Fault:
    """Has fired when it has been looked at so often."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    @property
    def fired(self) -> int:
        self._looks -= 1
        return int(self._looks < 0)


@pytest.mark.parametrize(
    ("looks", "statuses", "fired"),
    # The handler works after its response; or it does so without the call of the fault.
    [(3, ["pending"], 1), (1000, ["pending", "pending", "approved"], 0)],
)
def test_fault_is_armed_until_the_work_on_an_order_meets_it_or_is_done(
    looks: int, statuses: list[str], fired: int
) -> None:
    working, platform = lab(None)
    platform.order = lambda product: "PR-1"  # type: ignore[attr-defined]
    platform.request = lambda order: {  # type: ignore[attr-defined]
        "status": statuses.pop(0) if len(statuses) > 1 else statuses[0]
    }
    platform.fault = lambda *_, **scope: nullcontext(Fault(looks))  # type: ignore[attr-defined]
    platform.settle = lambda quiet: None  # type: ignore[attr-defined]
    working.signer = cast(Any, SimpleNamespace(product_id="PRD-1"))
    step = Step(0, "GET", "/requests", 1, is_read=True)
    assert crash._with_fault("abort")(working, step) == (fired, "PR-1")
