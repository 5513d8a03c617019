"""What expectations send to the sandbox."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Callable

import pytest

from pytest_connect_sim.client import ApiError
from pytest_connect_sim.expectations import Expectation, ExpectationError
from pytest_connect_sim.observer import Observer

NOT_MET = {
    "error_code": "WAIT_001",
    "reasons": ["it is not so"],
    "near_misses": [],
    "unsettled": [],
    "stopped_because": "impossible",
}


class Sandbox:
    """Records calls; waits end with these failures (None: success), then with success."""

    def __init__(self, *answers: Any) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._answers = iter(answers)

    def get(self, path: str, **query: Any) -> Any:
        return {"cursor": "0.5", "entries": [], "calls": [], "deliveries": []}

    def call(self, method: str, path: str, body: Any, timeout: float) -> Any:
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
        (
            ORDER,
            lambda e: e.task("asset_purchase_request_processing"),
            {
                "task": {
                    "object": "PR-1",
                    "type": "asset_purchase_request_processing",
                    "result": "success",
                }
            },
        ),
        (ORDER, lambda e: e.rescheduled(), {"rescheduled": {"object": "PR-1"}}),
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
    with pytest.raises(ExpectationError, match=r"^Expected exactly 2 requests to WH-1; it is"):
        expect(Sandbox(None, NOT_MET), WEBHOOK).called(2)


def test_at_most_is_not_judged_before_the_sandbox_is_settled() -> None:
    sandbox = Sandbox()
    expect(sandbox, WEBHOOK).called(at_most=2)
    assert [path for path, _ in sandbox.calls] == ["/sandbox/clock/advance", "/sandbox/wait"]


def reason(**answer: Any) -> dict[str, Any]:
    return {**NOT_MET, **answer}


BEGAN = "attempt 1 of delivery 5 began at 2026-11-26 13:50:35 UTC and succeeded"


@pytest.mark.parametrize(
    ("subject", "call", "answer", "sentence"),
    [
        (
            ORDER,
            lambda e: e.status("approved"),
            reason(reasons=["PR-1 is failed, which is final"]),
            "Expected PR-1 to be approved; it is failed, which is final.",
        ),
        (
            ORDER,
            lambda e: e.status("approved", within="1h"),
            reason(stopped_because="within", reasons=["PR-1 is pending"]),
            "Expected PR-1 to be approved within 1h; it is pending.",
        ),
        (
            ORDER,
            lambda e: e.status("approved", timeout=0.5),
            reason(stopped_because="timeout", reasons=["PR-1 is pending"]),
            "Expected PR-1 to be approved within 0.5 s; it is pending.",
        ),
        (
            WEBHOOK,
            lambda e: e.delivered(attempts_at_most=2),
            reason(),
            "Expected a successful request to WH-1 by attempt 2; it is not so.",
        ),
        (
            ORDER,
            lambda e: e.failed(webhook="WH-1"),
            reason(),
            "Expected a failed request to WH-1 about PR-1; it is not so.",
        ),
        (
            ORDER,
            lambda e: e.called(),
            reason(),
            "Expected at least 1 request about PR-1; it is not so.",
        ),
        (
            WEBHOOK,
            lambda e: e.called(at_least=1, at_most=2),
            reason(),
            "Expected at least 1 and at most 2 requests to WH-1; it is not so.",
        ),
        (
            WEBHOOK,
            lambda e: e.out_of_order(),
            reason(reasons=["WH-1 is not out of order"]),
            "Expected WH-1 to be out of order; it is not out of order.",
        ),
        (
            "",
            lambda e: e.idle(),
            reason(reasons=["the sandbox is not idle"]),
            "Expected the sandbox to be idle; the sandbox is not idle.",
        ),
        (
            WEBHOOK,
            lambda e: e.never_called(within="1h"),
            reason(reasons=[BEGAN]),
            f"Expected no request to WH-1 within 1h, but {BEGAN}.",
        ),
        (
            WEBHOOK,
            lambda e: e.never_failed(within="1h"),
            reason(reasons=[BEGAN]),
            f"Expected no failed request to WH-1 within 1h, but {BEGAN}.",
        ),
        (
            ORDER,
            lambda e: e.never_status("failed", within="1h"),
            reason(reasons=["PR-1 became failed at 2026-11-26 13:50:35 UTC"]),
            "Expected PR-1 not to be failed within 1h, but it became failed at 2026-11-26 13:50:35 "
            "UTC.",
        ),
        (
            WEBHOOK,
            lambda e: e.never_called(within="1h"),
            reason(stopped_because="timeout", reasons=["its span of platform time has not passed"]),
            "Expected no request to WH-1 within 1h; after 5 s its span of platform time has not "
            "passed.",
        ),
    ],
)
def test_failure_is_a_sentence_about_what_was_expected(
    subject: str, call: Callable[[Expectation], Any], answer: Any, sentence: str
) -> None:
    with pytest.raises(ExpectationError) as raised:
        call(expect(Sandbox(answer), subject))
    assert str(raised.value).splitlines()[0] == raised.value.sentence == sentence


def test_expectation_ends_when_the_sandbox_is_idle() -> None:
    sandbox = Sandbox(reason(stopped_because="idle"))
    with pytest.raises(ExpectationError, match="Nothing is left that could make it true"):
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
        (WEBHOOK, lambda e: e.task()),
        ("", lambda e: e.rescheduled()),
        ("", lambda e: e.delivered()),
        ("", lambda e: e.never_called(within="1h")),
        ("", lambda e: e.status("approved")),
    ],
)
def test_expectation_of_the_wrong_subject_is_refused(
    subject: str, call: Callable[[Expectation], Any]
) -> None:
    sandbox = Sandbox()
    with pytest.raises(TypeError):
        call(expect(sandbox, subject))
    assert sandbox.waits == []


@pytest.mark.parametrize(
    ("subject", "status", "available"),
    [
        (
            "PR-1",
            "aproved",
            "draft, tiers_setup, pending, inquiring, approved, failed, scheduled, ",
        ),
        ("TAR-1", "approved", "pending, accepted, ignored, unsupported."),
        ("BRV-1", "approved", "none."),
    ],
)
def test_status_that_an_object_cannot_have_is_refused(
    subject: str, status: Any, available: str
) -> None:
    sandbox = Sandbox()
    text = re.escape(f"Unknown status {status!r} of {subject}. Available: {available}")
    for call in (
        lambda e: e.status(status),
        lambda e: e.never_status(status, within="1h"),
    ):
        with pytest.raises(ValueError, match=text):
            call(expect(sandbox, subject))
    assert sandbox.calls == []


def test_other_errors_of_the_sandbox_are_not_taken_for_failures() -> None:
    class Refusing(Sandbox):
        def call(self, method: str, path: str, body: Any, timeout: float) -> Any:
            raise ApiError(method, path, 400, {"error_code": "VAL_001", "errors": ["No."]}, "")

    with pytest.raises(ApiError, match="No"):
        expect(Refusing(), ORDER).status("approved")
