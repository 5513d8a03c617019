"""How a handler recovers: the attempts that are made, and the pauses between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox.checks import recovery
from sandbox.checks.lab import Lab

GOOD, BAD = "success", "failure"


class Handler:
    """A lab whose platform makes attempts with these outcomes, one a move; "" is none."""

    def __init__(self, outcomes: Sequence[str], pending_until: float, patience: float = 5) -> None:
        self._outcomes, self._pending_until = list(outcomes), pending_until
        self.waited = 0.0
        self.timing = SimpleNamespace(quiet=0.2, patience=patience)
        self.platform = SimpleNamespace(next_attempt=self._next_attempt)

    def _next_attempt(self, quiet: float) -> dict[str, Any]:
        outcome = self._outcomes.pop(0) if self._outcomes else ""
        return {"attempts": [{"outcome": outcome}] if outcome else []}

    def status(self, order: str) -> str:
        return "pending" if self.waited < self._pending_until else "approved"

    def wait_for(self, is_true: Callable[[], bool], timeout: float) -> bool:
        for _ in range(int(timeout)):
            if is_true():
                break
            self.waited += 1
        return is_true()


@pytest.mark.parametrize(
    ("outcomes", "pending_until", "waited"),
    [
        ([GOOD], 0, 0),
        ([], 0, 0),
        # It fails in a pause of its own, although nothing is pending any more.
        ([BAD, BAD, GOOD], 0, 1 + 2),
        # It has responded, and repeats the work itself.
        ([GOOD], 5, 5),
        # It never recovers.
        ([BAD] * 9, 0, 15),
        ([GOOD], 99, 15),
    ],
)
def test_attempts_are_made_with_growing_pauses_until_one_succeeds(
    outcomes: list[str], pending_until: float, waited: float
) -> None:
    handler = Handler(outcomes, pending_until)
    recovery.recover(cast(Lab, handler), ["PR-1"])
    assert handler.waited == waited


def test_handler_that_takes_long_is_waited_for_longer() -> None:
    handler = Handler([GOOD], pending_until=40, patience=60)
    recovery.recover(cast(Lab, handler), ["PR-1"])
    assert handler.waited == 40
