"""Experiments that many checks make, with a handler that a test describes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest

from checks import causes, experiments, timing, verdicts
from checks.catalog import effects, forged
from checks.experiments import spread, sweep
from checks.handler_requests import Headers, Reply, SentRequest
from checks.history import Call, History
from checks.lab import Lab
from checks.outcomes import Outcome, Verdict
from checks.timing import Budget, OutOfTime, Timing
from tests import patched_time
from tests.unit.checks.test_history import call
from tests.unit.checks.test_tokens import SIGNER
from tests.unit.checks.test_verdicts import NOTHING, SENT, WROTE, reply

TIMER = "a timer of its own"
FAST = Timing(0.1, 0.1, 0.05)


def lab(*happened: History, polls: bool = False, answered: Reply | None = None) -> Lab:
    """A lab where this happens because of one request after another, and then the last again."""
    histories = itertools.chain(happened, itertools.repeat(happened[-1]))
    made = SimpleNamespace(
        timing=SimpleNamespace(quiet=0.2, interval=0.0),
        settle=lambda quiet: None,
        order=lambda: "PR-1",
        platform=SimpleNamespace(request=lambda order: {"status": "pending"}),
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


@pytest.mark.parametrize(("polls", "outcome"), [(False, Outcome.FAIL), (True, Outcome.SKIPPED)])
def test_work_by_a_timer_is_no_effect_of_a_broken_request(polls: bool, outcome: Outcome) -> None:
    verdict = experiments.accepts_or_refuses(lab(WROTE, polls=polls), (SENT, "it"))
    assert verdict.outcome is outcome


def test_handler_that_polls_often_is_looked_at_as_long_as_an_attempt_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    made = lab(NOTHING)
    made.wait_finished = lambda orders, timeout=None: bool(waits.append(timeout or 0))  # type: ignore[method-assign]
    clock = itertools.count(step=7)
    patched_time.replace(monkeypatch, experiments, monotonic=lambda: next(clock))
    acted = verdicts.failed("Processed it.", cause=causes.ACTED)
    experiments.without_effect(made, lambda: acted)
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
    """A lab whose handler responds to requests as a test says, and acts on some of them."""

    replies: dict[str, Reply]
    acts_on: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    shared: dict[str, object] = field(default_factory=lambda: {experiments._NEVER_UNASKED: True})
    timing: Timing = FAST
    has_acted: bool = False
    platform: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(request=lambda order: {"status": "pending"})
    )

    def order(self) -> str:
        self.has_acted = False
        return "PR-1"

    def values(self, order: str) -> dict[str, str]:
        return {}

    def mark(self) -> str:
        return ""

    def send(self, sent: SentRequest) -> Reply:
        self.sent.append(sent.method)
        self.has_acted = self.has_acted or sent.method in self.acts_on
        return self.replies.get(sent.method, reply(401))

    def after(self, mark: str) -> History:
        return WROTE if self.has_acted else NOTHING


def refuses(lab: Refusing, names: str) -> Verdict:
    """Return the verdict on requests with these names."""
    return experiments.refuses(cast(Lab, lab), *((SentRequest(n, ()), n) for n in names))


@pytest.mark.parametrize(
    ("replies", "acts_on", "text", "sent"),
    [
        ({}, "", "Refused all of 3 requests", "abc"),
        ({"a": reply()}, "a", "Processed a:", "aa"),
        ({"b": reply()}, "", "Responded 200 to b", "ab"),
        ({"a": reply(0, error="no response within 10.0 s")}, "", "Gave no response to a", "a"),
        # It refuses each of them and acts on one, which shows when each is sent alone.
        ({}, "b", "Processed b:", "abcabccb"),
        ({"c": reply()}, "c", "Processed c:", "abcabcc"),
    ],
)
def test_refused_requests_are_sent_until_one_is_not(
    replies: dict[str, Reply], acts_on: str, text: str, sent: str
) -> None:
    lab = Refusing(replies, set(acts_on))
    verdict = refuses(lab, "abc")
    assert text in verdict.text
    assert "".join(lab.sent) == sent


class Remembering(Refusing):
    """Accepts a, but refuses what it has seen before."""

    def send(self, sent: SentRequest) -> Reply:
        self.acts_on = {"a"} - set(self.sent)
        self.replies = {"a": reply() if self.acts_on else reply(409)}
        return super().send(sent)


@pytest.mark.parametrize("names", ["a", "ab"])
@pytest.mark.parametrize("interval", [0.0, 5.0])
def test_handler_that_refuses_what_it_has_seen_is_not_acquitted(
    interval: float, names: str
) -> None:
    lab = Remembering({}, timing=replace(FAST, interval=interval))
    verdict = refuses(lab, names)
    assert verdict.outcome is Outcome.FAIL
    # What a handler that polls has processed may be the work of its timer.
    expected = "Responded 200 to a, as if it was accepted." if interval else "Processed a:"
    assert verdict.text.startswith(expected)


class Once(Refusing):
    """Processes all that is pending because of any token that it hasn't seen before."""

    product, method = "PRD-2", "POST"
    signer = other = stranger = SIGNER
    genuine, word = Lab.genuine, lambda self: "word"

    def __init__(self) -> None:
        super().__init__({})
        self.seen: list[Headers] = []
        self.created: list[str] = []
        self.calls: list[Call] = []
        self.platform.requests_by_id = lambda ids: {
            pk: {"id": pk, "status": "pending"} for pk in ids
        }

    def order(self, product: str = "") -> str:
        self.created.append(f"PR-{len(self.created)}")
        return self.created[-1]

    def orders(self, count: int, product: str = "") -> list[str]:
        return [self.order() for _ in range(count)]

    def mark(self) -> str:
        self.calls.clear()
        return ""

    def send(self, sent: SentRequest, timeout: float | None = None) -> Reply:
        if sent.headers not in self.seen:
            self.seen.append(sent.headers)
            self.calls += [call("POST", f"/requests/{pk}/approve") for pk in self.created]
        return reply()

    def send_together(self, requests: Sequence[SentRequest]) -> list[Reply]:
        return [self.send(sent) for sent in requests]

    def after(self, mark: str) -> History:
        return History(tuple(self.calls), (), ())


@pytest.mark.parametrize("check", [forged.other_product, effects.forged_none])
def test_attempts_of_one_second_differ(check: Callable[[Lab], Verdict]) -> None:
    assert check(cast(Lab, Once())).outcome is Outcome.FAIL


class Interrupted(Refusing):
    """Works by a timer while it hangs up on the first request, and refuses all others."""

    def send(self, sent: SentRequest) -> Reply:
        self.acts_on = set() if self.sent else {sent.method}
        first = reply(0, error="the connection was reset")
        return super().send(sent) if self.sent else (super().send(sent), first)[1]


def test_requests_after_one_that_is_acquitted_are_sent_too() -> None:
    lab = Interrupted({"c": reply()})
    verdict = refuses(lab, "abcd")
    assert verdict.text.startswith("Responded 200 to c")
    assert "".join(lab.sent) == "aabc"


@dataclass
class Timed(Refusing):
    """Refuses nothing in time: each request, and each wait, takes as long as the lab's would."""

    budget: Budget = field(default_factory=Budget)
    now: float = 0.0

    def send(self, sent: SentRequest) -> Reply:
        with self.budget.wait(self.timing.deadline):
            self.now += self.timing.response
            return super().send(sent)

    def settle(self, quiet: float | None = None) -> None:
        with self.budget.wait(self.timing.quiet if quiet is None else quiet) as seconds:
            self.now += seconds

    def after(self, mark: str) -> History:
        self.settle()
        return super().after(mark)

    def wait_finished(self, orders: Sequence[str], patience: float) -> bool:
        with self.budget.wait(patience) as seconds:
            self.now += seconds
        return False


def timed(monkeypatch: pytest.MonkeyPatch, gap: float, acts_on: str, interval: float = 0) -> Timed:
    """A lab whose check begins, with a handler whose calls follow each other after pauses."""
    lab = Timed({}, set(acts_on), shared={}, timing=Timing(gap + 0.1, gap + 0.1, gap, interval))
    for module in (timing, experiments):
        patched_time.replace(monkeypatch, module, monotonic=lambda: lab.now)
    lab.budget.begin(50)
    return lab


@pytest.mark.parametrize("gap", [0.1, 1.0, 1.4, 1.5, 2.0, 2.3, 2.6, 5.0])
def test_slow_handler_that_verifies_nothing_is_judged(
    monkeypatch: pytest.MonkeyPatch, gap: float
) -> None:
    lab = timed(monkeypatch, gap, "a")
    lab.replies["a"] = reply()
    verdict = refuses(lab, "a")
    assert verdict.text.startswith("Processed a:")
    # The checks that follow don't wait for a timer again.
    assert experiments._NEVER_UNASKED in lab.shared


def test_effect_that_was_seen_counts_if_the_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = timed(monkeypatch, 2.3, "a")
    assert refuses(lab, "abcdef").text.startswith("Processed f:")
    lab = timed(monkeypatch, 2.3, "a", interval=60)
    with pytest.raises(OutOfTime):
        refuses(lab, "abcdef")


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
    for module in (timing, experiments):
        patched_time.replace(monkeypatch, module, monotonic=lambda: now)
    budget = Budget()
    budget.begin(50)

    def judge(case: int) -> Verdict:
        nonlocal now
        now += 20
        return GOOD

    lab = SimpleNamespace(budget=budget)
    verdict = sweep(cast(Lab, lab), range(40), judge, "steps")
    assert verdict.text == "Fine. 2 of 40 steps tried in 40 s."


@pytest.mark.parametrize("is_lucky", [False, True])
def test_handler_that_works_by_the_clock_is_judged_by_no_chance(is_lucky: bool) -> None:
    pending: list[str] = []
    chances = [is_lucky]

    def order() -> str:
        pending.append("PR-1")
        return "PR-1"

    def wait_finished(orders: Sequence[str], timeout: float) -> bool:
        # A minute begins during the first wait.
        if timeout and chances and chances.pop():
            pending.clear()
        return not pending

    made = SimpleNamespace(
        activate=lambda: None,
        mark=lambda: "",
        order=order,
        status=lambda order: "pending",
        wait_entry=lambda *given: True,
        wait_finished=wait_finished,
        platform=SimpleNamespace(advance=lambda *given: pending.clear()),
        timing=FAST,
        shared={},
    )
    verdict = experiments.control(cast(Lab, made))
    assert verdict.outcome is Outcome.SKIPPED and "platform's clock" in verdict.text
