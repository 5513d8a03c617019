"""What expectations send to the sandbox."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, Callable

import pytest

from pytest_connect_sim.client import ApiError
from pytest_connect_sim.expectations import Expectation, ExpectationError
from pytest_connect_sim.observer import Observer

NOT_MET = {
    "error_code": "WAIT_001",
    "errors": ["Not true."],
    "near_misses": [],
    "unsettled": [],
    "stopped_because": "impossible",
}
IDLE = {**NOT_MET, "errors": ["No work is left."], "stopped_because": "idle"}
TIMEOUT = {**NOT_MET, "errors": ["Not true after 0.5 s."], "stopped_because": "timeout"}


class Sandbox:
    """Records calls; waits end with these failures (None: success), then with success."""

    def __init__(self, *answers: Any, endless: bool = False) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._answers = itertools.cycle(answers) if endless else iter(answers)

    def get(self, path: str, **query: Any) -> Any:
        return {"cursor": "0.5", "entries": [], "calls": [], "deliveries": []}

    def call(self, method: str, path: str, body: Any, timeout: float) -> Any:
        body = {**body, "timeout": round(body["timeout"], 1)} if "timeout" in body else body
        self.calls.append((path, body))
        answer = next(self._answers, None) if path == "/sandbox/wait" else None
        if answer:
            raise ApiError(method, path, 408, answer, "")

    @property
    def waits(self) -> list[Any]:
        return [body for path, body in self.calls if path == "/sandbox/wait"]


def fail(error: ExpectationError) -> None:
    raise error


def expect(sandbox: Any, subject: str) -> Expectation:
    return Expectation(sandbox, Observer(sandbox), subject, 5.0, fail)


WEBHOOK, ORDER = "WH-1", "PR-1"


@pytest.mark.parametrize(
    ("subject", "call", "condition"),
    [
        (ORDER, lambda e: e.status("failed"), {"status": {"object": "PR-1", "is": "failed"}}),
        (
            WEBHOOK,
            lambda e: e.delivered(attempts_at_most=2),
            {"delivered": {"webhook": "WH-1", "attempts_at_most": 2}},
        ),
        (
            ORDER,
            lambda e: e.delivered(webhook=WEBHOOK),
            {"delivered": {"object": "PR-1", "webhook": "WH-1", "attempts_at_most": None}},
        ),
        (ORDER, lambda e: e.failed(), {"failed": {"object": "PR-1"}}),
        (
            WEBHOOK,
            lambda e: e.called(at_least=2),
            {"called": {"webhook": "WH-1", "times": None, "at_least": 2, "at_most": None}},
        ),
        (WEBHOOK, lambda e: e.out_of_order(), {"out_of_order": "WH-1"}),
        ("", lambda e: e.idle(), {"idle": True}),
    ],
)
def test_expectation_waits_and_skips_time(
    subject: str, call: Callable[[Expectation], Any], condition: Any
) -> None:
    sandbox = Sandbox()
    call(expect(sandbox, subject))
    assert sandbox.calls == [
        ("/sandbox/wait", {"until": condition, "timeout": 5, "skip": True, "since": "0.5"})
    ]


def test_number_of_calls_is_judged_again_once_settled() -> None:
    sandbox = Sandbox()
    expect(sandbox, WEBHOOK).called(2)
    assert [path for path, _ in sandbox.calls] == [
        "/sandbox/wait",
        "/sandbox/clock/advance",
        "/sandbox/wait",
    ]
    assert (sandbox.waits[1]["timeout"], sandbox.waits[1]["skip"]) == (0, False)


def test_third_call_after_two_expected_ones_fails() -> None:
    with pytest.raises(ExpectationError, match=r"Expected WH-1 to be called \(times=2\)\."):
        expect(Sandbox(None, NOT_MET), WEBHOOK).called(2)


def test_at_most_is_not_judged_before_the_sandbox_is_settled() -> None:
    sandbox = Sandbox()
    expect(sandbox, WEBHOOK).called(at_most=2)
    assert [path for path, _ in sandbox.calls] == ["/sandbox/clock/advance", "/sandbox/wait"]


def test_expectation_waits_on_for_a_handler_that_works_after_the_sandbox_was_idle() -> None:
    sandbox = Sandbox(IDLE, TIMEOUT, IDLE)
    expect(sandbox, ORDER).status("approved")
    assert [(wait["timeout"], wait["skip"]) for wait in sandbox.waits] == [
        (5, True),
        (0.5, False),
        (5, True),
        (0.5, False),
    ]


def test_expectation_ends_after_its_seconds_and_says_that_no_work_is_left() -> None:
    sandbox = Sandbox(IDLE, TIMEOUT, endless=True)
    with pytest.raises(ExpectationError, match=r"No work is left\."):
        expect(sandbox, ORDER).status("approved", timeout=0.01)
    assert sandbox.waits[0] == {
        "until": {"status": {"object": "PR-1", "is": "approved"}},
        "timeout": 0,
        "skip": True,
        "since": "0.5",
    }


def test_expectation_that_cannot_come_true_ends_at_once() -> None:
    sandbox = Sandbox(NOT_MET)
    with pytest.raises(ExpectationError, match=r"Not true\."):
        expect(sandbox, ORDER).status("approved")
    assert len(sandbox.waits) == 1


def test_negative_expectation_begins_when_the_sandbox_is_settled() -> None:
    sandbox = Sandbox()
    expect(sandbox, WEBHOOK).never_called(within=timedelta(hours=1))
    assert sandbox.calls == [
        ("/sandbox/clock/advance", {"by": "0s", "patience": 5}),
        (
            "/sandbox/wait",
            {
                "until": {"never": {"called": {"webhook": "WH-1"}}},
                "timeout": 5,
                "skip": True,
                "within": "3600s",
            },
        ),
    ]


def test_expectations_are_chained_and_have_timeouts_of_their_own() -> None:
    sandbox = Sandbox()
    expect(sandbox, ORDER).status("pending").status("approved", timeout=30, within="2d")
    assert [wait["timeout"] for wait in sandbox.waits] == [5, 30]
    assert sandbox.waits[1]["within"] == "2d"


@pytest.mark.parametrize(
    ("subject", "call"),
    [
        (WEBHOOK, lambda e: e.status("approved")),
        (WEBHOOK, lambda e: e.never_status("approved", within="1h")),
        (ORDER, lambda e: e.out_of_order()),
        ("", lambda e: e.delivered()),
        ("", lambda e: e.never_called(within="1h")),
    ],
)
def test_expectation_of_the_wrong_subject_is_refused(
    subject: str, call: Callable[[Expectation], Any]
) -> None:
    sandbox = Sandbox()
    with pytest.raises(TypeError):
        call(expect(sandbox, subject))
    assert sandbox.waits == []


def test_other_errors_of_the_sandbox_are_not_taken_for_failures() -> None:
    class Refusing(Sandbox):
        def call(self, method: str, path: str, body: Any, timeout: float) -> Any:
            raise ApiError(method, path, 400, {"error_code": "VAL_001", "errors": ["No."]}, "")

    with pytest.raises(ApiError, match="No"):
        expect(Refusing(), ORDER).status("approved")
