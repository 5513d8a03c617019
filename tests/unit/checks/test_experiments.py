"""Experiments that many checks make, with a handler that a test describes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.checks import experiments, verdicts
from sandbox.checks.experiments import spread, sweep
from sandbox.checks.handler_requests import Reply, SentRequest
from sandbox.checks.history import History
from sandbox.checks.lab import Lab
from sandbox.checks.outcomes import Outcome, Verdict
from sandbox.checks.timing import Budget, OutOfTime
from tests.unit.checks.test_verdicts import NOTHING, SENT, WROTE, reply

TIMER = "a timer of its own"


def lab(*happened: History, polls: bool = False, answered: Reply | None = None) -> Lab:
    """A lab where this happens because of one request after another, and then the last again."""
    histories = itertools.chain(happened, itertools.repeat(happened[-1]))
    made = SimpleNamespace(
        timing=SimpleNamespace(quiet=0.2, interval=0.0),
        settle=lambda quiet: None,
        order=lambda: "PR-1",
        status=lambda order: "pending",
        wait_finished=lambda orders, patience: polls,
        values=lambda order: {},
        mark=lambda: "",
        send=lambda sent: answered or reply(401),
        after=lambda mark: next(histories),
        genuine=lambda: SENT,
        after_work=lambda mark, replies, orders: next(histories),
        effects=lambda order, happened, before: SimpleNamespace(status="pending"),
        shared={},
        budget=Budget(),
    )
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


def test_handler_without_a_timer_is_looked_at_once() -> None:
    made = lab(WROTE)
    assert experiments.refuses(made, (SENT, "it")).outcome is Outcome.FAIL
    made.wait_finished = lambda orders, timeout=None: pytest.fail("looked again")  # type: ignore[method-assign]
    assert experiments.refuses(made, (SENT, "it")).outcome is Outcome.FAIL


def test_handler_that_polls_is_looked_at_each_time() -> None:
    made = lab(WROTE)
    made.timing.interval, made.timing.patience = 5.0, 5.0  # type: ignore[misc]
    assert experiments.refuses(made, (SENT, "it")).outcome is Outcome.FAIL
    made.wait_finished = lambda orders, timeout=None: True  # type: ignore[method-assign]
    assert experiments.refuses(made, (SENT, "it")).outcome is Outcome.SKIPPED


@dataclass
class Refusing:
    """A lab whose handler responds to "good", "bad", … as a test says, and acts on some of them."""

    replies: dict[str, Reply]
    acts_on: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    shared: dict[str, object] = field(default_factory=lambda: {experiments._NEVER_UNASKED: True})
    has_acted: bool = False

    def order(self) -> str:
        self.has_acted = False
        return "PR-1"

    def values(self, order: str) -> dict[str, str]:
        return {}

    def status(self, order: str) -> str:
        return "pending"

    def mark(self) -> str:
        return ""

    def send(self, sent: SentRequest) -> Reply:
        self.sent.append(sent.method)
        self.has_acted = self.has_acted or sent.method in self.acts_on
        return self.replies.get(sent.method, reply(401))

    def after(self, mark: str) -> History:
        return WROTE if self.has_acted else NOTHING


@pytest.mark.parametrize(
    ("replies", "acts_on", "text", "sent"),
    [
        ({}, "", "Refused all of 3 requests", "abc"),
        ({"a": reply()}, "a", "Processed a:", "aa"),
        ({"b": reply()}, "", "Responded 200 to b", "ab"),
        ({"a": reply(0, error="no response within 10.0 s")}, "", "Gave no response to a", "a"),
        # It refuses each of them and acts on one, which shows when each was sent alone, and again.
        ({}, "b", "Processed b:", "abcabb"),
        ({"c": reply()}, "c", "Processed c:", "abcabcc"),
    ],
)
def test_refused_requests_are_sent_until_one_is_not(
    replies: dict[str, Reply], acts_on: str, text: str, sent: str
) -> None:
    lab = Refusing(replies, set(acts_on))
    verdict = experiments.refuses(cast(Lab, lab), *((SentRequest(n, ()), n) for n in "abc"))
    assert text in verdict.text
    assert "".join(lab.sent) == sent


@pytest.mark.parametrize(
    ("count", "first"), [(1, [0]), (2, [0, 1]), (3, [0, 2, 1]), (9, [0, 8, 4, 2, 6])]
)
def test_places_are_spread(count: int, first: list[int]) -> None:
    places = spread(count)
    assert places[: len(first)] == first
    assert sorted(places) == list(range(count))


def swept(verdicts_by_case: list[Verdict | None], budget: Budget) -> Verdict:
    """Sweep cases in order of their trial; None is one that exceeds the time of the check."""
    order = iter(verdicts_by_case)

    def judge(case: int) -> Verdict:
        verdict = next(order)
        if verdict is None:
            raise OutOfTime
        return verdict

    lab = SimpleNamespace(budget=budget)
    return sweep(cast(Lab, lab), range(len(verdicts_by_case)), judge, "steps")


GOOD, BAD = verdicts.passed("Fine."), verdicts.failed("Broken.")
VOID, SKIPPED = verdicts.inconclusive("Void."), verdicts.skipped("By a timer.")


@pytest.mark.parametrize(
    ("cases", "outcome", "text"),
    [
        ([GOOD], Outcome.PASS, "Fine."),
        ([GOOD, GOOD, GOOD], Outcome.PASS, "Fine. 3 of 3 steps tried in 0 s."),
        ([GOOD, GOOD, None, BAD], Outcome.PASS, "Fine. 2 of 4 steps tried in 0 s."),
        ([VOID, GOOD, None, BAD], Outcome.INCONCLUSIVE, "Void. 2 of 4 steps tried in 0 s."),
        ([VOID, GOOD, BAD, GOOD], Outcome.FAIL, "Broken."),
        ([GOOD, SKIPPED, BAD], Outcome.SKIPPED, "By a timer."),
    ],
)
def test_sweep_judges_what_there_was_time_for(
    cases: list[Verdict | None], outcome: Outcome, text: str
) -> None:
    verdict = swept(cases, Budget())
    assert (verdict.outcome, verdict.text) == (outcome, text)


def test_sweep_without_time_for_one_case_is_not_judged() -> None:
    with pytest.raises(OutOfTime):
        swept([None, BAD], Budget())


def test_sweep_begins_no_case_that_would_not_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = Budget()
    budget.begin(50)

    def judge(case: int) -> Verdict:
        nonlocal now
        now += 20
        return GOOD

    lab = SimpleNamespace(budget=budget)
    verdict = sweep(cast(Lab, lab), range(40), judge, "steps")
    assert verdict.text == "Fine. 2 of 40 steps tried in 40 s."
