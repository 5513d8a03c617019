"""`connect-sim fault`: what it sends, and what it prints."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.faults.kinds import KINDS
from tests.program import run, run_json
from tests.unit.connect_sim.recording_server import Server

FAULT: dict[str, Any] = {
    "id": "FLT-1", "name": "abort-1", "kind": "abort", "side": "api", "webhook": None,
    "account": None, "method": "POST", "path": "/requests/*", "parameters": {"status": 503},
    "is_armed": True, "expires_in": None, "asked": 3, "fired": 2, "held": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["abort", "--side", "api"], {"kind": "abort", "parameters": {}, "side": "api"}),
        (
            ["latency", "--webhook", "WH-1", "ms=500", "jitter=1.5"],
            {"kind": "latency", "parameters": {"ms": 500, "jitter": 1.5}, "webhook": "WH-1"},
        ),
        (
            ["abort", "--path", "/requests/*", "--method", "POST", "--nth", "2", "--nth", "5",
             "--name", "n", "--ttl", "5m", "--seed", "7", 'body={"a": [1]}'],
            {"kind": "abort", "parameters": {"body": {"a": [1]}}, "path": "/requests/*",
             "method": "POST", "nth": [2, 5], "name": "n", "ttl": "5m", "seed": 7},
        ),
        (
            ["outage", "--account", "VA-1", "--probability", "0.5", "--times", "2", "--after",
             "1", "for=5m", "after=60"],
            {"kind": "outage", "parameters": {"for": "5m", "after": 60}, "account": "VA-1",
             "probability": 0.5, "times": 2, "after": 1},
        ),
        (
            ["abort", "--side", "api", "body=a=b", "status=NaN"],
            {"kind": "abort", "parameters": {"body": "a=b", "status": "NaN"}, "side": "api"},
        ),
    ],
)  # fmt: skip
def test_add_sends_the_fault_and_prints_its_id(
    server: Server, arguments: list[str], body: dict[str, Any]
) -> None:
    server.answer = lambda *request: (201, FAULT)
    assert run("fault", "add", *arguments) == "FLT-1  abort-1\n"
    assert server.requests == [("POST", "/sandbox/faults", body)]
    assert run_json("fault", "add", *arguments) == FAULT


def test_list_prints_a_table(server: Server) -> None:
    held = {
        **FAULT,
        "id": "FLT-2",
        "name": "mine",
        "kind": "hold",
        "method": None,
        "path": None,
        "parameters": {},
        "expires_in": 29.6,
        "held": [{}, {}],
    }
    over = {
        **FAULT,
        "id": "FLT-3",
        "side": "delivery",
        "method": None,
        "path": None,
        "webhook": "WH-1",
        "is_armed": False,
    }
    server.answer = lambda *request: (200, {"faults": [FAULT, held, over]})
    assert run("fault").splitlines() == [
        "ID     NAME         CONCERNS              PARAMETERS  STATE                    MATCHED  "
        "FIRED",
        "FLT-1  abort-1      api POST /requests/*  status=503  armed                    3        2",
        "FLT-2  mine (hold)  api                   -           armed for 30 s, holds 2  3        2",
        "FLT-3  abort-1      delivery WH-1         status=503  over                     3        2",
    ]
    server.answer = lambda *request: (200, {"faults": []})
    assert run("fault", "list") == "No faults.\n"


def test_clear_says_how_often_they_fired(server: Server) -> None:
    server.answer = lambda method, path, body: (200, FAULT if path[-1] == "c" else {"faults": []})
    assert run("fault", "clear", "a/c", "FLT-c") == "Cleared abort-1: fired 2 of 3.\n" * 2
    assert [path for _, path, _ in server.requests] == [
        "/sandbox/faults/a%2Fc",
        "/sandbox/faults/FLT-c",
    ]
    assert run("fault", "clear") == "No faults.\n"
    assert server.requests[-1] == ("DELETE", "/sandbox/faults", None)


def test_release_prints_the_calls(server: Server) -> None:
    call = {"ordinal": 1, "method": "GET", "path": "/public/v1/requests"}
    server.answer = lambda *request: (200, {"released": [call], "held": [call, call]})
    assert run("fault", "release", "FLT-1", "--count", "1").splitlines() == [
        "Released GET /public/v1/requests.",
        "2 still held.",
    ]
    assert server.requests == [("POST", "/sandbox/faults/FLT-1/release", {"count": 1})]


def test_kinds_need_no_sandbox() -> None:
    text = run("fault", "kinds")
    assert [line for line in text.splitlines() if not line.startswith(" ")] == list(KINDS)
    described = run_json("fault", "kinds")
    assert [kind["name"] for kind in described] == list(KINDS)
    [latency] = [kind for kind in described if kind["name"] == "latency"]
    assert latency["parameters"][0] == {
        "name": "ms",
        "type": "number",
        "required": True,
        "default": None,
        "text": "Delay. From 0 to 600,000 milliseconds; required.",
        "sides": ["delivery", "api"],
    }


def test_timeline_says_for_which_request_a_fault_fired(server: Server) -> None:
    at = "2026-11-26T10:00:00.000+00:00"
    common = {"cursor": "0.8", "kind": "fault", "at": at, "real_at": at}
    call = {
        **common,
        "webhook": None,
        "delivery": None,
        "attempt": None,
        "object": "PR-1",
        "data": {
            "id": "FLT-1",
            "name": "mine",
            "kind": "abort",
            "side": "api",
            "fired": 1,
            "method": "POST",
            "path": "/public/v1/requests/PR-1/approve",
        },
    }
    attempt = {
        **common,
        "webhook": "WH-1",
        "delivery": 3,
        "attempt": 2,
        "object": None,
        "data": {"id": "FLT-2", "name": "drop-2", "kind": "drop", "side": "delivery", "fired": 1},
    }
    server.answer = lambda *request: (200, {"entries": [call, attempt], "cursor": "0.8"})
    assert run("timeline").splitlines() == [
        "2026-11-26 10:00:00 UTC  fault             PR-1  mine (abort): "
        "POST /public/v1/requests/PR-1/approve",
        "2026-11-26 10:00:00 UTC  fault             WH-1  drop-2: delivery 3, attempt 2",
    ]
