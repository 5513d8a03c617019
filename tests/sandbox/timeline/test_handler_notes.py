"""Notes on what a handler did: pure functions of calls and attempts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.models import ApiCall
from sandbox.timeline import handler_activity
from sandbox.timeline.handler_activity import AttemptFacts, Call, ObjectFacts

PK, OTHER = "PR-1111-2222-3333-001", "PR-9999-8888-7777-001"
OWN, FOREIGN = "PRD-111-111-111", "PRD-222-222-222"
PENDING = ObjectFacts(PK, "pending", is_waiting=True)


def call(method: str, path: str, status: int = 200, code: str = "", body: Any = None) -> Call:
    row = ApiCall(id=7, method=method, path=f"/public/v1{path}", status=status, error_code=code)
    return Call(row, [], "", "" if body is None else json.dumps(body))


def attempt(**more: Any) -> AttemptFacts:
    facts: dict[str, Any] = {
        "status_code": 200,
        "is_success": True,
        "expects_calls": True,
        "is_settled": True,
        "product": OWN,
        "objects": (),
        **more,
    }
    return AttemptFacts(**facts)


def notes(facts: AttemptFacts, *calls: Call) -> list[tuple[str, str]]:
    derived = handler_activity.derive(facts, calls, {PK: OWN, OTHER: FOREIGN})
    return [(note.code, note.text) for note in derived]


READ, FILL = call("GET", "/requests"), call("PUT", f"/requests/{PK}")
APPROVE, FAIL = call("POST", f"/requests/{PK}/approve"), call("POST", f"/requests/{OTHER}/fail")
REFUSED = call("POST", f"/requests/{PK}/approve", 400)
DONE = ObjectFacts(PK, "approved", is_waiting=False)
SILENT = ("no_api_calls", "Returned 200 but made no API calls.")


@pytest.mark.parametrize(
    ("facts", "calls", "expected"),
    [
        ({}, [], [SILENT]),
        ({"status_code": 204}, [], [("no_api_calls", "Returned 204 but made no API calls.")]),
        # A failure, a validator, and too early.
        ({"objects": [PENDING], "is_success": False}, [], []),
        ({"objects": [PENDING], "expects_calls": False}, [], []),
        ({"objects": [PENDING], "is_settled": False}, [], []),
        ({"objects": [PENDING]}, [READ],
         [("still_pending", f"Returned 200, but {PK} is still pending.")]),
        ({"objects": [DONE]}, [READ], []),
        ({}, [call("GET", "/requests/PR-1", 404, "NFND_000")],
         [("rejected", "GET /requests/PR-1 was rejected: 404 NFND_000")]),
        ({}, [call("GET", "/requests", 503, "SYS_503")],
         [("rejected", "GET /requests failed: 503 SYS_503")]),
        ({}, [call("POST", f"/requests/{OTHER}/approve")],
         [("other_product",
           f"approve was called for {OTHER} of {FOREIGN}, but the webhook is for {OWN}.")]),
        # Reading it does no harm, and the webhook's own product is right.
        ({}, [call("GET", f"/requests/{OTHER}")], []),
        ({}, [APPROVE], []),
    ],
)  # fmt: skip
def test_notes_say_what_a_handler_left_or_did_wrong(
    facts: dict[str, Any], calls: list[Call], expected: list[tuple[str, str]]
) -> None:
    assert notes(attempt(**facts), *calls) == expected


def test_rejected_action_has_a_note_with_the_api_s_message() -> None:
    body = {"error_code": "REQ_003", "errors": ["Only pending requests can be approved."]}
    rejected = call("POST", f"/requests/{PK}/approve", 400, "REQ_003", body)
    text = "approve was rejected: 400 REQ_003 Only pending requests can be approved."
    [note] = handler_activity.derive(attempt(), [rejected], {PK: OWN})
    assert (note.code, note.text, note.call, note.object) == ("rejected", text, 7, PK)


def test_rejections_of_one_attempt_are_limited() -> None:
    many = [call("GET", "/requests", 400)] * 50
    assert len(notes(attempt(), *many)) == handler_activity.MAX_REJECTED


@pytest.mark.parametrize("body", ["", "nothing", "[]", "{}", '{"errors": "text"}', "[" * 100_000])
def test_error_without_a_message_is_empty(body: str) -> None:
    assert handler_activity.message(body) == ""


def test_long_message_is_cut() -> None:
    text = handler_activity.message(json.dumps({"errors": ["x" * 1000]}))
    assert text == "x" * 300 + "…"


@pytest.mark.parametrize(
    ("calls", "summary"),
    [
        ([], "no API calls"),
        ([READ], "1 API call"),
        ([READ, FILL], "2 API calls"),
        ([READ, FILL, APPROVE], f"approved {PK}"),
        ([FAIL], f"failed {OTHER}"),
        ([APPROVE, FAIL], "2 API calls"),
        ([APPROVE, call("POST", f"/requests/{OTHER}/approve")], "approved 2 objects"),
        ([READ, REFUSED], "2 API calls, 1 failed"),
        ([REFUSED, APPROVE], "2 API calls, 1 failed"),
    ],
)
def test_summary_says_what_was_done(calls: list[Call], summary: str) -> None:
    assert handler_activity.summarize(calls, is_silent=True) == summary


def test_summary_says_nothing_while_calls_may_come() -> None:
    assert handler_activity.summarize([], is_silent=False) == ""
