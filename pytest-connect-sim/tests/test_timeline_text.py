"""Entries of the timeline as lines."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_connect_sim import timeline_text


def entry(kind: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    names = dict.fromkeys(("webhook", "delivery", "attempt", "object"))
    return {"kind": kind, "at": "2026-11-26T13:50:35.120+00:00", "data": data, **names, **more}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            entry("change", {"from": None, "to": "pending", "actor": "distributor"}, object="PR-1"),
            "change    PR-1  created → pending by distributor",
        ),
        (entry("change", {"from": None, "to": None}, object="BRV-1"), "change    BRV-1  created"),
        (entry("event", {"from": None, "to": None}, webhook="WH-1"), "event     WH-1  Trigger now"),
        (
            entry(
                "attempt_finished",
                {
                    "outcome": "failure",
                    "status": 500,
                    "error": "Bad.",
                    "duration": 3,
                    "next_attempt_at": "2026-11-26T13:55:35.000+00:00",
                    "objects": ["PR-1", "PR-2"],
                },
                webhook="WH-1",
                delivery=7,
                attempt=2,
            ),
            "attempt   WH-1 PR-1, PR-2  delivery 7, attempt 2: 500, 3 ms, "
            "next attempt at 2026-11-26 13:55:35.000, Bad.",
        ),
        (
            entry(
                "api_call",
                {
                    "actor": "handler",
                    "method": "GET",
                    "path": "/public/v1/requests",
                    "status": 400,
                    "error_code": "VAL_001",
                },
            ),
            "API call    handler: GET /public/v1/requests 400 VAL_001",
        ),
        (
            entry(
                "api_call",
                {"actor": "test", "method": "POST", "path": "/public/v1/requests", "status": None},
            ),
            "API call    test: POST /public/v1/requests no response yet",
        ),
        (
            entry(
                "fault",
                {
                    "name": "abort-1",
                    "kind": "abort",
                    "side": "api",
                    "method": "GET",
                    "path": "/public/v1/requests",
                },
                object="PR-1",
            ),
            "fault     PR-1  abort-1 (abort): GET /public/v1/requests",
        ),
        (
            entry(
                "fault",
                {"name": "slow", "kind": "latency", "side": "delivery"},
                webhook="WH-1",
                delivery=7,
                attempt=2,
            ),
            "fault     WH-1  slow (latency): delivery 7, attempt 2",
        ),
        (
            entry(
                "clock",
                {
                    "action": "wait",
                    "from": "2026-11-26T13:45:35.120+00:00",
                    "to": "2026-11-26T13:50:35.120+00:00",
                },
            ),
            "clock       time was moved to 2026-11-26 13:50:35.120 (wait)",
        ),
        (
            entry("hold", {"action": "expired", "id": "HLD-1", "note": "import"}),
            "hold        HLD-1 has expired: import",
        ),
        (
            entry("clock", {"action": "settle", "url": "http://127.0.0.1:9/", "ms": None}),
            "clock       action=settle url=http://127.0.0.1:9/",
        ),
    ],
)
def test_line_says_when_what_and_about_what(shown: dict[str, Any], expected: str) -> None:
    assert timeline_text.line(shown) == f"2026-11-26 13:50:35.120  {expected}"


def test_long_line_is_cut_and_has_no_line_break() -> None:
    text = timeline_text.line(entry("fault", {"name": "a\nb" * 200}))
    assert len(text) == timeline_text.LONGEST and "\n" not in text and text.endswith("…")
