"""What commands send to the sandbox, and what they print of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connect_sim.cli import output
from tests.program import Failed, run, run_json
from tests.unit.connect_sim.recording_server import Answer, Server

MOVE: dict[str, Any] = {
    "from": "2026-11-26T10:00:00.000+00:00", "now": "2026-11-26T10:10:00.000+00:00", "stops": 2,
    "attempts": [
        {"webhook": "WH-1", "delivery": 183, "attempt": 2, "object": "PR-1", "objects": ["PR-1"],
         "at": "2026-11-26T10:03:12.000+00:00", "outcome": "failure", "status": 500,
         "error": "Handler returned HTTP 500 (expected 2xx).",
         "next_attempt_at": "2026-11-26T10:13:12.000+00:00"},
        {"webhook": "WH-2", "delivery": 184, "attempt": 1, "object": None, "objects": [],
         "at": "2026-11-26T10:04:00.000+00:00", "outcome": "success", "status": 200, "error": "",
         "next_attempt_at": None},
    ],
    "stopped_because": "idle", "unsettled": [{"kind": "hold", "text": "hold HLD-1"}],
    "failed": ["billing"],
}  # fmt: skip


def test_move_prints_its_attempts(server: Server) -> None:
    server.answer = lambda *request: (200, MOVE)
    arguments = ("clock", "advance", "10m", "--patience", "2", "--settle", "100")
    assert run(*arguments).splitlines() == [
        "2026-11-26 10:00:00 UTC → 2026-11-26 10:10:00 UTC, 2 attempts: 1 succeeded, 1 failed",
        "  2026-11-26 10:03:12 UTC  WH-1 PR-1  delivery 183, attempt 2: 500, "
        "next attempt at 2026-11-26 10:13:12 UTC",
        "  2026-11-26 10:04:00 UTC  WH-2 Trigger now  delivery 184, attempt 1: 200",
        "Stopped: nothing is left to do.",
        "Not waited for: hold HLD-1",
        "Failed: billing. See the log of the sandbox.",
    ]
    body = {"by": "10m", "patience": 2, "settle": 100}
    assert server.requests == [("POST", "/sandbox/clock/advance", body)]
    assert run_json(*arguments) == MOVE


def test_moves_send_their_limits(server: Server) -> None:
    server.answer = lambda *request: (200, {**MOVE, "attempts": [], "stopped_because": "end"})
    assert "no attempts" in run("clock", "next")
    run("clock", "run-until-idle", "--max", "P3D", "--max-steps", "7")
    assert server.requests == [
        ("POST", "/sandbox/clock/next", {}),
        ("POST", "/sandbox/clock/run-until-idle", {"max": "P3D", "max_steps": 7}),
    ]


CLOCK = {
    "now": "2026-11-26T10:00:00.000+00:00", "offset": 273600.0, "moving": False, "frozen": False,
    "settled": False, "waiting_for": [{"kind": "hold", "text": "hold HLD-1"}],
}  # fmt: skip
REQUEST = {"type": "fulfillment.request", "id": "PR-1"}
DIFF = {
    "added": [{**REQUEST, "id": "PR-2"}],
    "removed": [REQUEST],
    "changed": [
        {
            **REQUEST,
            "fields": {
                "status": {"a": "pending", "b": "approved"}, "reason": {"a": None, "b": "x\n"}
            },
        }
    ],
    "truncated": True,
}  # fmt: skip
RESET = {"now": "2026-11-26T10:00:00.000+00:00", "took_ms": 41, "unsettled": ["hold HLD-1"]}
CALL = {"method": "GET", "path": "/public/v1/x\x1b", "status": 200, "duration": 2.5}
ENTRY = {
    "cursor": "0.8", "kind": "api_call", "at": "2026-11-26T10:00:00.000+00:00",
    "real_at": "2026-11-26T10:00:00.000+00:00", "webhook": "WH-1", "delivery": 1, "attempt": 1,
    "object": "PR-1", "data": CALL,
}  # fmt: skip
UNFINISHED = {**ENTRY, "data": {**CALL, "status": None, "duration": None}}


@pytest.mark.parametrize(
    ("arguments", "answer", "printed", "sent"),
    [
        pytest.param(
            "clock",
            (200, CLOCK),
            ["2026-11-26 10:00:00 UTC, 3 d 4 h ahead of real time", "Not settled:", "  hold HLD-1"],
            ("GET", "/sandbox/clock", None),
            id="clock says how far it is ahead",
        ),
        pytest.param(
            "clock show",
            (200, {**CLOCK, "offset": 0.0, "settled": True, "moving": True}),
            ["2026-11-26 10:00:00 UTC", "The clock is being moved.", "Settled."],
            ("GET", "/sandbox/clock", None),
            id="clock is moved",
        ),
        pytest.param(
            "hold take --ttl 5 --note mine",
            (201, {"id": "HLD-1", "note": "", "expires_in": 5.0}),
            ["HLD-1"],
            ("POST", "/sandbox/holds", {"ttl": 5, "note": "mine"}),
            id="hold prints its id only",
        ),
        pytest.param(
            "snapshot diff before",
            (200, DIFF),
            [
                "+ fulfillment.request PR-2",
                "- fulfillment.request PR-1",
                "~ fulfillment.request PR-1",
                '    status: "pending" → "approved"',
                '    reason: null → "x\\n"',
                "More objects differ: only the first are listed.",
            ],
            ("GET", "/sandbox/snapshots/before/diff/now", None),
            id="diff prints objects and fields",
        ),
        pytest.param(
            "reset",
            (200, RESET),
            [
                "Reset in 41 ms. Platform time: 2026-11-26 10:00:00 UTC.",
                "Not waited for: hold HLD-1",
            ],
            ("POST", "/sandbox/reset", {}),
            id="reset names what it did not wait for",
        ),
        pytest.param(
            "timeline --kind api_call --kind hold --webhook WH-1",
            (200, {"entries": [ENTRY, UNFINISHED], "cursor": "0.8"}),
            [
                "2026-11-26 10:00:00 UTC  api_call          WH-1 PR-1  GET /public/v1/x␛ 200, 2 ms",
                "2026-11-26 10:00:00 UTC  api_call          WH-1 PR-1  "
                "GET /public/v1/x␛, no response yet",
            ],
            ("GET", "/sandbox/timeline?kind=api_call%2Chold&latest=true&webhook=WH-1", None),
            id="timeline has filters",
        ),
    ],
)
def test_command_prints_what_it_was_answered(
    server: Server, arguments: str, answer: Answer, printed: list[str], sent: Any
) -> None:
    server.answer = lambda *request: answer
    assert run(*arguments.split()).splitlines() == printed
    assert server.requests == [sent]


def test_restore_prints_json(server: Server) -> None:
    server.answer = lambda *request: (200, RESET)
    assert run_json("snapshot", "restore", "before", "--patience", "2") == RESET
    path = "/sandbox/snapshots/before/restore"
    assert server.requests == [("POST", path, {"patience": 2})]


def test_wait_that_does_not_come_true_ends_with_1(server: Server) -> None:
    content = {
        "errors": ["Not true after 5 s: a delivery.", "Attempt 1 of delivery 3 failed."],
        "near_misses": [
            {
                "webhook": "WH-1",
                "object": None,
                "delivery": 3,
                "attempt": 1,
                "entry": None,
                "differs": [{"field": "outcome", "expected": "success", "actual": "failure"}],
            }
        ],
        "waiting_for": ["a delivery"],
        "unsettled": [{"kind": "hold", "text": "hold HLD-1"}],
        "timeline": [],
    }
    server.answer = lambda *request: (408, content)
    arguments = ("wait", "delivered", "WH-1", "--attempts-at-most", "1", "--skip", "--within", "1h")
    with pytest.raises(Failed) as failed:
        run(*arguments)
    assert failed.value.code == 1
    assert failed.value.out.splitlines() == [
        "Not true after 5 s: a delivery.",
        "Attempt 1 of delivery 3 failed.",
        "Not settled: hold HLD-1",
        "Nearest: WH-1 delivery 3, attempt 1: outcome is failure, not success",
    ]
    with pytest.raises(Failed) as failed:
        run(*arguments, "--json")
    assert json.loads(failed.value.out) == content
    until = {"delivered": {"webhook": "WH-1", "attempts_at_most": 1}}
    body = {"until": until, "timeout": 5, "within": "1h", "skip": True}
    assert server.requests[0] == ("POST", "/sandbox/wait", body)


@pytest.mark.parametrize(
    "arguments", ["wait status PR-1 aproved", "deliveries --object PR-1", "deliveries list"]
)
def test_refusal_of_what_was_given_is_wrong_usage(server: Server, arguments: str) -> None:
    errors = ["until.status.is: Unknown status 'aproved'.", "until.any.0.idle: Wrong."]
    server.answer = lambda *request: (400, {"error_code": "VAL_001", "errors": errors})
    with pytest.raises(Failed) as failed:
        run(*arguments.split())
    assert failed.value.code == 2
    text = "Error: Unknown status 'aproved'. until.any.0.idle: Wrong. See `connect-sim "
    assert str(failed.value).startswith(text)


@pytest.mark.parametrize(
    ("arguments", "until"),
    [
        ("delivered PR-1", {"delivered": {"object": "PR-1"}}),
        ("failed WH-1", {"failed": {"webhook": "WH-1"}}),
        ("called WH-1 --times 3", {"called": {"webhook": "WH-1", "times": 3}}),
        ("called WH-1 --at-least 1 --at-most 0",
         {"called": {"webhook": "WH-1", "at_least": 1, "at_most": 0}}),
        ("status PR-1 approved", {"status": {"object": "PR-1", "is": "approved"}}),
        ("idle", {"idle": True}),
        ("out-of-order WH-1", {"out_of_order": "WH-1"}),
        ("task PR-1", {"task": {"object": "PR-1", "result": "success"}}),
        ("rescheduled PR-1 --type T", {"rescheduled": {"object": "PR-1", "type": "T"}}),
        ('until {"any":[{"idle":true}]}', {"any": [{"idle": True}]}),
    ],
)  # fmt: skip
def test_wait_sends_each_condition(server: Server, arguments: str, until: Any) -> None:
    server.answer = lambda *request: (200, {"evidence": []})
    assert run("wait", *arguments.split(), "--since", "0.7", "--timeout", "2") == "True.\n"
    body = {"until": until, "timeout": 2, "since": "0.7"}
    assert server.requests == [("POST", "/sandbox/wait", body)]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("clock", {"action": "advance", "from": "2026-11-26T10:00:00+00:00",
                   "to": "2026-11-26T10:05:00+00:00"},
         "Time was moved 5 min, to 2026-11-26 10:05:00 UTC (advance)."),
        ("clock", {"action": "settle", "url": "http://127.0.0.1:9/", "ms": 500.0},
         "The settle time of http://127.0.0.1:9/ is 500 ms."),
        ("clock", {"action": "settle", "url": "http://127.0.0.1:9/", "ms": None},
         "The settle time of http://127.0.0.1:9/ is learned again."),
        ("hold", {"action": "taken", "id": "HLD-1", "note": "import"},
         "Hold HLD-1 was taken: import"),
        ("hold", {"action": "expired", "id": "HLD-1", "note": ""}, "Hold HLD-1 has expired."),
        ("reset", {"action": "reset", "snapshot": ""}, "The sandbox was reset."),
        ("reset", {"action": "restored", "snapshot": "mine"},
         "The sandbox was restored to snapshot mine."),
    ],
)  # fmt: skip
def test_timeline_tells_what_happened_to_the_sandbox(
    server: Server, kind: str, data: dict[str, Any], text: str
) -> None:
    at = "2026-11-26T10:00:00.000+00:00"
    entry = {"kind": kind, "at": at, "webhook": None, "object": None, "data": data}
    server.answer = lambda *request: (200, {"entries": [entry], "cursor": "0.8", "earlier": 1234})
    first, line = run("timeline").splitlines()
    assert first == "1,234 earlier entries since the last reset: --limit shows more of them."
    assert line.endswith(f"  {text}")


def test_following_the_timeline_waits_for_entries(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connect_sim.cli.observing._GATHER", 0)
    entry = {
        "cursor": "0.8",
        "kind": "hold",
        "at": "2026-11-26T10:00:00.000+00:00",
        "webhook": None,
        "object": None,
        "data": {"action": "taken"},
    }
    answers = iter(
        [
            (200, {"entries": [entry], "cursor": "0.7", "earlier": 3}),
            (200, {"entries": [entry], "cursor": "0.8"}),
            (200, {"entries": [], "cursor": "0.9"}),
            (500, {"errors": ["The end."]}),
        ]
    )
    server.answer = lambda *request: next(answers)
    with pytest.raises(Failed) as failed:
        run("timeline", "--follow", "--kind", "hold", "--json")
    assert [json.loads(line) for line in failed.value.out.splitlines()] == [entry] * 2
    assert [path for _, path, _ in server.requests] == [
        "/sandbox/timeline?kind=hold&latest=true&limit=10",
        *(f"/sandbox/timeline?kind=hold&since=0.{number}&wait=25" for number in (7, 8, 9)),
    ]


def test_json_has_no_control_characters(server: Server) -> None:
    holds = [{"id": "HLD-1", "expires_in": 1, "note": "\x1b\x9b\u202e"}]
    server.answer = lambda *request: (200, holds)
    text = run("hold", "list", "--json")
    assert text.isascii() and "\x1b" not in text
    assert json.loads(text) == holds


def test_columns_of_a_table_are_aligned() -> None:
    rows = [("A", "BB"), ("long", None), ("", "x\ny")]
    assert output.table(rows) == ["A     BB", "long  -", "-     x␊y"]


def test_forecast_of_an_extension_lists_its_tasks(server: Server) -> None:
    row = {"kind": "task", "id": "TQ-1", "at": "2026-11-26T13:55:00+00:00", "type": "T",
           "object": "PR-1", "reason": "Later."}  # fmt: skip
    answers = [{"rows": [row]}, {"rows": []}]
    server.answer = lambda *request: (200, answers.pop(0))
    lines = run("forecast", "SRVC-1").splitlines()
    assert lines[1].split() == ["TQ-1", "2026-11-26", "13:55:00", "UTC", "T", "PR-1", "Later."]
    assert run("forecast", "SRVC-1") == "No further tasks.\n"
    assert server.requests == [("GET", "/sandbox/extensions/SRVC-1/forecast", None)] * 2
