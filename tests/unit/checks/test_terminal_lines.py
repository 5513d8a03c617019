"""The lines about attempts and API calls, and their limit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.outputs import terminal_lines
from checks.outputs.terminal_lines import Limiter

AT = datetime(2026, 11, 26, 14, 2, 11, tzinfo=UTC)
CHANGE = "PR-5810-2277-4101-001 created → pending"


def attempt(**changes: Any) -> tuple[str, str]:
    data = {
        "method": "POST",
        "url": "http://127.0.0.1:9000/",
        "status": 200,
        "error": "",
        "outcome": "success",
        "duration": 12,
        "next_attempt_at": None,
        "out_of_order": False,
        **changes,
    }
    return terminal_lines.attempt(AT, "WH-338-310-411", [CHANGE], data)


def api_call(**changes: Any) -> tuple[str, str]:
    data = {
        "method": "POST",
        "path": "/public/v1/requests/PR-1/approve",
        "status": 200,
        "error_code": "",
        "duration": 8.4,
        **changes,
    }
    return terminal_lines.api_call(AT, True, data)


def test_attempt_is_one_line() -> None:
    assert attempt() == (
        f"14:02:11 WH-338-310-411 {CHANGE}  POST http://127.0.0.1:9000/ 200 12 ms",
        terminal_lines.GREEN,
    )


def test_failure_names_the_next_attempt() -> None:
    line, color = attempt(
        status=500, outcome="failure", next_attempt_at="2026-11-26T14:07:11.250+00:00"
    )
    assert line.endswith(" 500 12 ms, next attempt at 14:07:11")
    assert color == terminal_lines.RED
    line, _ = attempt(next_attempt_at="2026-11-27T01:00:00+00:00")
    assert line.endswith(", next attempt at 2026-11-27 01:00:00 UTC")


def test_attempt_without_response_has_its_error() -> None:
    line, _ = attempt(
        status=None, outcome="failure", error="Handler refused the connection.", out_of_order=True
    )
    assert line.endswith("Handler refused the connection 12 ms, the webhook is out of order")


def test_call_without_response_says_so() -> None:
    line, color = api_call(status=None, duration=None)
    assert line.endswith(": POST /requests/PR-1/approve, no response yet")
    assert color == terminal_lines.DIM


def test_attempt_of_unknown_outcome_has_no_error() -> None:
    line, color = attempt(status=None, outcome="unknown")
    assert line.endswith("/ unknown 12 ms") and color == terminal_lines.YELLOW


def test_attempt_names_one_of_several_changes() -> None:
    data = {
        "method": "GET",
        "url": "http://x/",
        "status": 200,
        "error": "",
        "outcome": "success",
        "duration": 1,
        "next_attempt_at": None,
        "out_of_order": False,
    }
    line, _ = terminal_lines.attempt(AT, "WH-1", ["PR-1 a → b", "PR-2 a → b"], data)
    assert line == "14:02:11 WH-1 PR-1 a → b (+1 more)  GET http://x/ 200 1 ms"
    line, _ = terminal_lines.attempt(AT, "WH-1", [], data)
    assert line == "14:02:11 WH-1 Trigger now  GET http://x/ 200 1 ms"


def test_credentials_and_query_of_a_url_are_not_printed() -> None:
    line, _ = attempt(url="http://user:hidden@example.com:9000/hook?token=hidden")
    assert "POST http://example.com:9000/hook?… 200" in line and "hidden" not in line


def test_api_call_is_one_line_with_its_error_code() -> None:
    assert api_call() == (
        "14:02:11   handler: POST /requests/PR-1/approve 200 8 ms",
        terminal_lines.DIM,
    )
    line, color = api_call(status=400, error_code="REQ_003")
    assert line.endswith(" 400 REQ_003 8 ms") and color == terminal_lines.RED


def test_api_call_of_no_handler_is_marked() -> None:
    data = {"method": "GET", "path": "/public/v1/accounts", "status": 200, "duration": 1.0}
    line, _ = terminal_lines.api_call(AT, False, data)
    assert line == "14:02:11   API: GET /accounts 200 1 ms"


@given(st.text())
def test_control_characters_are_escaped(text: str) -> None:
    for line, _ in (api_call(path=text), attempt(status=None, error=text, url=f"http://x/{text}")):
        assert not any(char < " " or "\x7f" <= char < "\xa0" for char in line)


def test_long_texts_are_cut() -> None:
    assert len(api_call(path="/" * 5000)[0]) < 250
    assert len(attempt(status=None, error="x" * 5000)[0]) < 400


def test_limiter_allows_lines_per_second() -> None:
    limiter = Limiter(3)
    assert limiter.allowed(10.0) == 3
    limiter.printed(2)
    assert limiter.allowed(10.5) == 1
    limiter.printed(1)
    assert limiter.allowed(10.9) == 0
    assert limiter.allowed(11.0) == 3


def test_limiter_summarizes_at_the_end_of_the_second() -> None:
    limiter = Limiter(3)
    limiter.allowed(10.0)
    assert limiter.summary(10.0) == "" and limiter.remaining(10.0) is None
    limiter.leave_out(300, 0)
    limiter.leave_out(40, 1)
    assert limiter.summary(10.2) == ""
    assert limiter.remaining(10.2) == pytest.approx(0.8)
    assert limiter.summary(11.0) == "… 340 more attempts, 1 more API call"
    assert limiter.summary(11.1) == "" and limiter.remaining(11.1) is None


@given(st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 100))))
def test_limiter_loses_no_attempt(batches: list[tuple[float, int]]) -> None:
    limiter, now, printed, summarized = Limiter(10), 100.0, [], 0
    for pause, count in [*batches, (1.0, 0)]:
        now += pause
        if summary := limiter.summary(now):
            summarized += int(summary.split()[1])
        lines = min(count, limiter.allowed(now))
        limiter.printed(lines)
        limiter.leave_out(count - lines, 0)
        printed += [now] * lines
    left = int(summary.split()[1]) if (summary := limiter.summary(now + 1)) else 0
    assert len(printed) + summarized + left == sum(count for _, count in batches)
    # In any second beginning with a line there are at most two windows.
    for start in printed:
        assert sum(start <= each < start + 1 for each in printed) <= 20
