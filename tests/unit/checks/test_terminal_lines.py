"""The lines about attempts and API calls, and their limit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.outputs import terminal_lines
from checks.outputs.terminal_lines import DIM, GREEN, RED, YELLOW, Limiter

AT = datetime(2026, 11, 26, 14, 2, 11, tzinfo=UTC)
CHANGE = "PR-5810-2277-4101-001 created → pending"


def attempt(*changes: str, **data: Any) -> tuple[str, str]:
    sent = {
        "method": "POST",
        "url": "http://127.0.0.1:9000/",
        "status": 200,
        "error": "",
        "outcome": "success",
        "duration": 12,
        "next_attempt_at": None,
        "out_of_order": False,
    }
    return terminal_lines.attempt(AT, "WH-338-310-411", changes, {**sent, **data})


def api_call(is_handler: bool = True, **data: Any) -> tuple[str, str]:
    sent = {
        "method": "POST",
        "path": "/public/v1/requests/PR-1/approve",
        "status": 200,
        "duration": 8.4,
    }
    return terminal_lines.api_call(AT, is_handler, {**sent, **data})


@pytest.mark.parametrize(
    ("changes", "data", "text", "color"),
    [
        ([CHANGE], {}, f"{CHANGE}  POST http://127.0.0.1:9000/ 200 12 ms", GREEN),
        ([CHANGE, CHANGE], {},
         f"{CHANGE} (+1 more)  POST http://127.0.0.1:9000/ 200 12 ms", GREEN),
        ([], {"method": "GET"}, "Trigger now  GET http://127.0.0.1:9000/ 200 12 ms", GREEN),
        ([], {"status": 500, "outcome": "failure",
              "next_attempt_at": "2026-11-26T14:07:11.250+00:00"},
         "Trigger now  POST http://127.0.0.1:9000/ 500 12 ms, next attempt at 14:07:11", RED),
        ([], {"next_attempt_at": "2026-11-27T01:00:00+00:00"},
         "Trigger now  POST http://127.0.0.1:9000/ 200 12 ms, "
         "next attempt at 2026-11-27 01:00:00 UTC", GREEN),
        ([], {"status": None, "outcome": "failure", "error": "Handler refused the connection.",
              "out_of_order": True},
         "Trigger now  POST http://127.0.0.1:9000/ Handler refused the connection 12 ms, "
         "the webhook is out of order", RED),
        ([], {"status": None, "outcome": "unknown"},
         "Trigger now  POST http://127.0.0.1:9000/ unknown 12 ms", YELLOW),
        ([], {"url": "http://user:hidden@example.com:9000/hook?token=hidden"},
         "Trigger now  POST http://example.com:9000/hook?… 200 12 ms", GREEN),
    ],
    ids=["one change", "several changes", "no change", "failure", "tomorrow", "no response",
         "unknown outcome", "secrets of a URL"],
)  # fmt: skip
def test_attempt_is_one_line(
    changes: list[str], data: dict[str, Any], text: str, color: str
) -> None:
    assert attempt(*changes, **data) == (f"14:02:11 WH-338-310-411 {text}", color)


@pytest.mark.parametrize(
    ("is_handler", "data", "text", "color"),
    [
        (True, {}, "handler: POST /requests/PR-1/approve 200 8 ms", DIM),
        (True, {"status": 400, "error_code": "REQ_003"},
         "handler: POST /requests/PR-1/approve 400 REQ_003 8 ms", RED),
        (True, {"status": None, "duration": None},
         "handler: POST /requests/PR-1/approve, no response yet", DIM),
        (False, {"method": "GET", "path": "/public/v1/accounts"}, "API: GET /accounts 200 8 ms",
         DIM),
    ],
    ids=["success", "error", "no response", "another client"],
)  # fmt: skip
def test_api_call_is_one_line(
    is_handler: bool, data: dict[str, Any], text: str, color: str
) -> None:
    assert api_call(is_handler, **data) == (f"14:02:11   {text}", color)


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
