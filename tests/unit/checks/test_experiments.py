"""What is said about effects that may be those of a handler's own timer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.checks import experiments, verdicts
from sandbox.checks.handler_requests import Reply
from sandbox.checks.history import History
from sandbox.checks.lab import Lab
from sandbox.checks.outcomes import Outcome
from tests.unit.checks.test_verdicts import NOTHING, SENT, WROTE, reply

TIMER = "a timer of its own"


def lab(*happened: History, polls: bool = False, answered: Reply | None = None) -> Lab:
    """A lab where this happens because of one request after another, and then the last again."""
    histories = itertools.chain(happened, itertools.repeat(happened[-1]))
    made = SimpleNamespace(
        timing=SimpleNamespace(quiet=0.2, interval=0.0),
        settle=lambda quiet: None, order=lambda: "PR-1", status=lambda order: "pending",
        wait_finished=lambda orders, patience: polls, values=lambda order: {},
        mark=lambda: "", send=lambda sent: answered or reply(401),
        after=lambda mark: next(histories), genuine=lambda: SENT,
        after_work=lambda mark, replies, orders: next(histories),
        effects=lambda order, happened, before: SimpleNamespace(status="pending"),
    )  # fmt: skip
    return cast(Lab, made)


@pytest.mark.parametrize(
    ("happened", "polls", "answered", "outcome", "part"),
    [
        ([WROTE], False, reply(401), Outcome.FAIL, "Processed it: it called POST"),
        ([NOTHING], False, reply(401), Outcome.PASS, ""),
        # It polls too seldom to come in two attempts in a row.
        ([WROTE, WROTE, NOTHING], False, reply(401), Outcome.PASS, ""),
        ([WROTE, WROTE, WROTE, NOTHING], False, reply(401), Outcome.PASS, ""),
        ([WROTE], True, reply(401), Outcome.SKIPPED, TIMER),
        # That it has accepted the request is seen all the same.
        ([WROTE], True, reply(200), Outcome.FAIL, "Responded 200"),
        # No timer makes a handler respond with success.
        ([NOTHING], True, reply(200), Outcome.FAIL, "as if it was accepted"),
    ],
)
def test_work_by_a_timer_is_no_effect_of_a_forged_request(
    happened: Sequence[History], polls: bool, answered: Reply, outcome: Outcome, part: str
) -> None:
    verdict = experiments.refuses(lab(*happened, polls=polls, answered=answered), (SENT, "it"))
    assert verdict.outcome is outcome
    assert part in verdict.text


@pytest.mark.parametrize(
    ("happened", "polls", "outcome"),
    [
        ([WROTE], False, Outcome.FAIL),
        ([WROTE], True, Outcome.SKIPPED),
    ],
)
def test_work_by_a_timer_is_no_effect_of_a_broken_request(
    happened: Sequence[History], polls: bool, outcome: Outcome
) -> None:
    verdict = experiments.accepts_or_refuses(lab(*happened, polls=polls), (SENT, "it"))
    assert verdict.outcome is outcome


def test_handler_that_polls_often_is_looked_at_as_long_as_an_attempt_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    made = lab(NOTHING)
    made.wait_finished = lambda orders, timeout=None: bool(waits.append(timeout or 0))  # type: ignore[method-assign]
    clock = itertools.count(step=7)
    monkeypatch.setattr(experiments.time, "monotonic", lambda: next(clock))
    experiments.without_effect(made, lambda: verdicts.failed("Processed it."))
    assert waits == [14]
