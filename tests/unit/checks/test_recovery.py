"""How a handler recovers: the attempts that are made, and the pauses between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from checks import recovery
from checks.catalog import retry
from checks.handler_process import HandlerError
from checks.lab import Lab
from checks.lanes import CannotRun
from tests.unit.checks.test_tokens import SIGNER

GOOD, BAD = "success", "failure"


class Handler:
    """A lab in which the platform makes attempts with these outcomes, one a move; "" is none."""

    def __init__(self, outcomes: Sequence[str], pending_until: float, patience: float = 5) -> None:
        self._outcomes, self._pending_until = list(outcomes), pending_until
        self.waited = 0.0
        self.timing = SimpleNamespace(quiet=0.2, patience=patience)

    def next_attempts(self) -> list[str]:
        outcome = self._outcomes.pop(0) if self._outcomes else ""
        return [outcome] if outcome else []

    def status(self, order: str) -> str:
        return "pending" if self.waited < self._pending_until else "approved"

    def wait_for(self, is_true: Callable[[], bool], timeout: float) -> bool:
        self.waited += timeout
        return is_true()

    def wait_finished(self, orders: Sequence[str], timeout: float) -> bool:
        self.waited = max(self.waited, min(self.waited + timeout, self._pending_until))
        return self.status(orders[0]) != "pending"


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


class Rotated:
    """A handler that starts with each secret that it is given."""

    def __init__(self, fails: bool) -> None:
        self.secrets: list[str] = []
        self._fails = fails

    def restart(self, jwt_secret: str) -> None:
        self.secrets.append(jwt_secret)
        if self._fails and len(self.secrets) == 1:
            raise HandlerError("The handler did not start.")


@pytest.mark.parametrize("starts", [True, False])
def test_handler_has_its_own_secret_again_whatever_fails(starts: bool) -> None:
    def start_over() -> None:
        raise CannotRun("The sandbox cannot be restored.")

    process = Rotated(fails=not starts)
    lab = SimpleNamespace(
        signer=SIGNER,
        webhook="WH-1",
        process=process,
        platform=SimpleNamespace(update_webhook=lambda *_, **values: None),
        mark=lambda: "",
        start_over=start_over,
    )
    with pytest.raises(CannotRun):
        retry.rotated_secret(cast(Lab, lab))
    new, last = process.secrets
    assert new != SIGNER.secret == last
