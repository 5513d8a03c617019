"""What is judged of a run with a failure at one API call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from checks import recovery
from checks.catalog import crash
from checks.good_run import GoodRun, Step
from checks.history import Effects, History
from checks.lab import Lab
from checks.outcomes import Outcome, Verdict
from checks.timing import Budget

ORDER = "PR-1"
DONE = Effects("approved", {"a": "1"}, (200,), (), ())
LEFT = Effects("pending", {}, (), (), ())
STEPS = tuple(Step(n, "GET", f"/calls/{n}", 1, is_read=True) for n in range(2))
GOOD = GoodRun(STEPS, DONE, History((), (), ()))


class Sandbox:
    """A lab in which a handler does what a test says; each start is noted."""

    def __init__(self, **values: Any) -> None:
        self.fired: list[int] = values.get("fired", [1])
        self.effects_of: list[Effects] = values.get("effects", [DONE])
        self.following = values.get("following", "approved")
        self.attempt = values.get("attempt", {"outcome": "success", "status": 200, "error": ""})
        self.process = SimpleNamespace(stop=self.stop) if values.get("has_process") else None
        self.stops, self.crashed = 0, list[int]()
        self.budget = Budget()

    def stop(self) -> None:
        self.stops += 1

    def start_over(self) -> None:
        """Nothing."""

    def mark(self) -> str:
        return ""

    def activate(self) -> None:
        """Nothing."""

    def order(self) -> str:
        return "PR-2"

    def status(self, order: str) -> str:
        return str(self.following)

    def since(self, mark: str) -> History:
        return History((), (), ({"attempt": 1, "delivery": 1, "data": self.attempt},))

    def effects(self, order: str, happened: History, before: dict[str, str]) -> Effects:
        return self.effects_of.pop(0) if len(self.effects_of) > 1 else self.effects_of[0]

    def crash(self, lab: Lab, step: Step) -> tuple[int, str]:
        self.crashed.append(step.place)
        return self.fired.pop(0) if len(self.fired) > 1 else self.fired[0], ORDER


@pytest.fixture(autouse=True)
def _no_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "recover", lambda lab, orders: None)


def sweep(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> Verdict:
    monkeypatch.setattr(crash.good_run, "record", lambda lab, by_platform: GOOD)
    return crash._sweep(cast(Lab, sandbox), sandbox.crash, "a lost response")


FAILED = {"outcome": "failure", "status": 500, "error": ""}


@pytest.mark.parametrize(
    ("values", "outcome", "words"),
    [
        ({}, Outcome.PASS, "2 of 2 API calls tried"),
        ({"effects": [LEFT]}, Outcome.FAIL, "PR-1 ends differently"),
        ({"attempt": FAILED}, Outcome.FAIL, "last attempt ended with 500"),
        ({"following": "pending"}, Outcome.FAIL, "PR-2, is pending"),
        ({"fired": [0]}, Outcome.INCONCLUSIVE, "With --run"),
        # Effects count before the fault.
        ({"fired": [0], "effects": [LEFT]}, Outcome.FAIL, "In a run without call 1 of 2"),
        # A step that proves nothing doesn't end the sweep.
        ({"fired": [0, 1], "effects": [DONE, LEFT]}, Outcome.FAIL, "at call 2 of 2"),
        ({"fired": [0, 1]}, Outcome.INCONCLUSIVE, "/calls/0"),
    ],
)
def test_sweep_judges_each_step(
    values: dict[str, Any], outcome: Outcome, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = sweep(monkeypatch, Sandbox(**values))
    assert verdict.outcome is outcome
    assert words in verdict.text


def test_each_step_has_a_handler_that_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(has_process=True)
    assert sweep(monkeypatch, sandbox).outcome is Outcome.PASS
    # Also for the good run, so that the steps are those of a new handler.
    assert sandbox.stops == 1 + len(STEPS)


@pytest.mark.parametrize("has_process", [True, False])
def test_failure_ends_the_sweep_and_only_a_started_handler_can_be_renewed(
    has_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(has_process=has_process, effects=[LEFT])
    verdict = sweep(monkeypatch, sandbox)
    assert verdict.outcome is Outcome.FAIL
    assert sandbox.crashed == [0]
    assert ("No other API call was tried" in verdict.text) is not has_process
