"""What a response took without the sandbox's slowness, and the verdict about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import response_time, timing
from checks.catalog import speed
from checks.handler_requests import Reply, SentRequest
from checks.history import Call, History
from checks.lab import Lab
from checks.outcomes import Outcome
from checks.response_time import SLOW_CALL, USUAL_CALL, Measured
from checks.timing import Budget, OutOfTime
from tests import patched_time

BEGAN = 1_000_000.0
TIMES = st.integers(0, 20_000).map(lambda ms: ms / 1000)


def call(at: float, seconds: float) -> Call:
    return Call(1, "GET", "/requests", "", 200, BEGAN + at, seconds, "", "", ())


def own(seconds: float, *calls: tuple[float, float]) -> float:
    return response_time.own_seconds(BEGAN, seconds, [call(*each) for each in calls])


def test_each_call_counts_its_usual_time() -> None:
    assert own(3.0) == 3.0
    assert own(3.0, (0.5, 1.0), (1.5, 1.0)) == pytest.approx(1.0 + 2 * USUAL_CALL)
    # Two at the same time delay a response once, and a call after the response doesn't.
    assert own(3.0, (0.5, 2.0), (0.5, 2.0), (4.0, 1.0)) == pytest.approx(1.0 + 2 * USUAL_CALL)
    assert own(3.0, (2.5, 9.0)) == pytest.approx(2.5 + USUAL_CALL)
    # A fast call isn't slower than it was.
    assert own(3.0, (0.5, 0.001)) == 3.0


@given(TIMES, st.lists(st.tuples(TIMES, TIMES)))
def test_own_time_is_part_of_the_response(seconds: float, calls: list[tuple[float, float]]) -> None:
    assert -1e-6 <= own(seconds, *calls) <= seconds
    assert own(seconds, *calls) == own(seconds, *reversed(calls))


def measured(seconds: float, status: int = 200, error: str = "", call: float = 0.0) -> Measured:
    reply = Reply(0 if error else status, b"", {}, seconds, error)
    return Measured(SentRequest("POST", ()), reply, seconds, call, History((), (), ()))


LATE = "Responded to a draft after 9.0 s (expected within 5 s)."
TIMED_OUT = measured(60.0, error="no response within 60.0 s")
VERDICTS: Sequence[tuple[list[Measured], int, Outcome, str]] = [
    ([measured(4.0), measured(9.0)], 1, Outcome.PASS, "Responded after 4.0 s."),
    ([measured(6.0), measured(4.0)], 2, Outcome.PASS, "Responded after 4.0 s."),
    ([measured(6.0), measured(9.0)], 2, Outcome.FAIL, LATE),
    ([measured(9.0), measured(4.0)], 1, Outcome.FAIL, LATE),
    ([measured(9.0, call=SLOW_CALL + 0.1)], 1, Outcome.INCONCLUSIVE, "The machine is too slow"),
    ([measured(1.0, 500)], 1, Outcome.FAIL, "Responded HTTP 500 to a draft (expected 2xx)."),
    ([TIMED_OUT], 1, Outcome.FAIL, "Gave no response to a draft within 60.0 s"),
    # The sandbox took the time.
    ([replace(TIMED_OUT, own=3.0, call=0.1)], 1, Outcome.INCONCLUSIVE, ""),
    ([measured(1.0, error="reset")], 1, Outcome.FAIL, "Gave no response to a draft: reset."),
]


@pytest.mark.parametrize(("responses", "read", "outcome", "text"), VERDICTS)
def test_verdict(responses: list[Measured], read: int, outcome: Outcome, text: str) -> None:
    reads: list[Measured] = []

    def each() -> Iterator[Measured]:
        for response in responses:
            reads.append(response)
            yield response

    verdict = response_time.within(5.0, "a draft", each())
    assert (verdict.outcome, len(reads)) == (outcome, read)
    assert text in verdict.text


@pytest.mark.parametrize(
    ("seconds", "work", "outcome"),
    [(28.0, 20.0, Outcome.PASS), (31.0, 0.0, Outcome.FAIL), (35.0, 20.0, Outcome.FAIL)],
)
def test_response_counts_though_the_time_ends_before_the_work_or_another_measurement(
    monkeypatch: pytest.MonkeyPatch, seconds: float, work: float, outcome: Outcome
) -> None:
    now, budget = 0.0, Budget()
    patched_time.replace(monkeypatch, timing, monotonic=lambda: now)

    def wait(took: float, timeout: float) -> None:
        nonlocal now
        with budget.wait(timeout) as left:
            now += min(took, left)

    def send(sent: SentRequest, timeout: float) -> Reply:
        wait(seconds, timeout)
        return Reply(200, b"", {}, seconds)

    def wait_finished(orders: Sequence[str], timeout: float) -> bool:
        return not wait(work, timeout)

    lab = SimpleNamespace(
        orders=lambda count: wait(3, 60),
        genuine=lambda: SentRequest("POST", ()),
        mark=lambda: "",
        send=send,
        wait_finished=wait_finished,
        settle=lambda quiet, patience: wait(0.2, patience),
        since=lambda mark: History((), (), ()),
        shared={},
    )
    budget.begin(50)
    assert speed.timeout_30s(cast(Lab, lab)).outcome is outcome


def test_without_time_for_one_measurement_nothing_is_judged() -> None:
    def none() -> Iterator[Measured]:
        raise OutOfTime
        yield

    with pytest.raises(OutOfTime):
        response_time.within(5.0, "a draft", none())
