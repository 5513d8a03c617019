"""What is judged of a run with a failure at one API call."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
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


SUCCEEDED = {"outcome": "success", "status": 200, "error": ""}
FAILED = {"outcome": "failure", "status": 500, "error": ""}


def lab(
    *,
    fired: Sequence[int] = (1,),
    effects: Sequence[Effects] = (DONE,),
    following: str = "approved",
    attempt: dict[str, Any] = SUCCEEDED,
    has_process: bool = False,
) -> SimpleNamespace:
    """A lab in which a handler does what a test says, and then the last again."""
    fires = itertools.chain(fired, itertools.repeat(fired[-1]))
    ends = itertools.chain(effects, itertools.repeat(effects[-1]))
    renewals: list[str] = []
    happened = History((), (), ({"attempt": 1, "delivery": 1, "data": attempt},))
    return SimpleNamespace(
        fires=fires,
        crashed=[],
        renewals=renewals,
        process=SimpleNamespace() if has_process else None,
        budget=Budget(),
        renew=lambda: renewals.append(""),
        mark=lambda: "",
        activate=lambda: None,
        order=lambda: "PR-2",
        status=lambda order: following,
        since=lambda mark: happened,
        effects=lambda order, happened, before: next(ends),
    )


@pytest.fixture(autouse=True)
def _no_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "recover", lambda lab, orders: None)


def sweep(monkeypatch: pytest.MonkeyPatch, made: SimpleNamespace) -> Verdict:
    def crash_at(lab: Lab, step: Step) -> tuple[int, str]:
        made.crashed.append(step.place)
        return next(made.fires), ORDER

    monkeypatch.setattr(crash.good_run, "record", lambda lab, by_platform: GOOD)
    return crash.sweep(cast(Lab, made), crash_at, "a lost response")


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
    verdict = sweep(monkeypatch, lab(**values))
    assert verdict.outcome is outcome
    assert words in verdict.text


def test_each_step_has_a_handler_that_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    made = lab(has_process=True)
    assert sweep(monkeypatch, made).outcome is Outcome.PASS
    # Also for the good run, so that the steps are those of a new handler.
    assert len(made.renewals) == 1 + len(STEPS)


@pytest.mark.parametrize("has_process", [True, False])
def test_failure_ends_the_sweep_and_only_a_started_handler_can_be_renewed(
    has_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lab(has_process=has_process, effects=[LEFT])
    verdict = sweep(monkeypatch, made)
    assert verdict.outcome is Outcome.FAIL
    assert made.crashed == [0]
    assert ("No other API call was tried" in verdict.text) is not has_process
