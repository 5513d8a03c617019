"""`connect-sim trace`: the failing moment, the other views, and files that can't be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks import trace_file
from connect_sim.cli import access
from tests.program import Failed, run, run_json
from tests.unit.checks.traces import FAILURE, call, content, entry
from tests.unit.connect_sim.recording_server import Server

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A function that writes a trace, changed by another function, and returns its path.

    The terminal is wide, also where pytest-xdist makes it narrow.
    """
    monkeypatch.setenv("COLUMNS", "160")

    def write_trace(change: Callable[[Any], Any] = lambda content: None) -> str:
        changed = content()
        change(changed)
        path = tmp_path / f"it{trace_file.SUFFIX}"
        trace_file.save(trace_file.pack(changed), path)
        return str(path)

    return write_trace


def test_failing_moment_is_shown(write: Write) -> None:
    path = write()
    assert run("trace", path).splitlines() == [
        "FAILED: test_order.py::test_it",
        "  Expected PR-1 to be approved within 5 s; it has been pending since 13:50:35.",
        "  Near: PR-1, status: expected approved, was pending",
        "Timeline until 2026-11-26 13:55:35 UTC:",
        "  2026-11-26 13:50:35 UTC  change            PR-1  created → pending",
        "  2026-11-26 13:50:35 UTC  attempt_finished  WH-1 PR-1  delivery 7, attempt 1: 500, 8 ms",
        "  2026-11-26 13:55:35 UTC  api_call            GET /public/v1/requests 200, 3 ms",
        "  2026-11-26 13:55:35 UTC  api_call            GET /public/v1/requests 200, 3 ms",
        "Delivery 7 to WH-1:",
        "  Attempt 1: 2026-11-26 13:50:35 UTC  failure, 8 ms  "
        "Handler returned HTTP 500 (expected 2xx).",
        "    POST http://127.0.0.1:9000/  {}",
        "    Response: 500 KeyError: 'mailbox'",
        "API calls of the handler after it: 2",
        "  2026-11-26 13:50:35 UTC  PUT /public/v1/requests/PR-1 400 VAL_001",
        '    response: {"errors": ["Required."]}',
        "PR-1 is approved, since 2026-11-26 13:55:35 UTC.",
        '  status: "pending" → "approved"',
        '  note: "" → "x"',
        "Seed: 7. Versions: connect-sim 0.1.0, python 3.11.7.",
        f"More: connect-sim trace {path} attempts|calls|state|diff",
    ]


@pytest.mark.parametrize("width", [1, 80, 200])
def test_failing_moment_has_thirty_lines_at_most(
    write: Write, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))

    def grow(changed: Any) -> None:
        lines = [f"line {number}" * 20 for number in range(50)]
        evidence = [{"title": f"Exhibit {n}", "lines": lines} for n in range(9)]
        failure = {**FAILURE, "text": "Expected " * 200, "evidence": evidence}
        changed["trace"]["failures"] = [failure, failure]
        changed["timeline"] += [
            entry(f"1.{n}", "change", object="PR-2", data={"from": "a", "to": "b"})
            for n in range(50)
        ]
        refused = {"request_body": "x", "response_body": "y"}
        changed["calls"] = [call(n, "PUT", 400, **refused) for n in range(9)]
        values = changed["state"][0]["moments"][2]["values"]
        values |= {f"key{n}": n for n in range(20)}

    lines = run("trace", write(grow)).splitlines()
    assert len(lines) == 30 and max(map(len, lines)) <= max(width, 40)
    # The attempt that failed long before the end is there too.
    assert any("  attempt_" in line for line in lines)
    assert lines[0].startswith("FAILED: ") and lines[-1].startswith("More: ")


def test_trace_of_nothing_is_shown(write: Write) -> None:
    def empty(changed: Any) -> None:
        changed["trace"]["moment"] = {**changed["trace"]["moment"], "cursor": None, "object": None}
        changed["trace"] |= {"failures": [], "seed": None, "result": "passed"}
        changed |= {name: [] for name in ("timeline", "deliveries", "calls", "state")}

    path = write(empty)
    assert run("trace", path).splitlines()[:3] == [
        "PASSED: test_order.py::test_it",
        "Timeline until 2026-11-26 13:55:35 UTC:",
        "  (no entries)",
    ]
    for view in ("attempts", "calls", "state", "diff"):
        assert len(run("trace", path, view).splitlines()) == 1


def test_other_views(write: Write) -> None:
    path = write()
    attempts = run("trace", path, "attempts").splitlines()
    assert attempts[0] == "Delivery 7  WH-1  PR-1  waiting"
    assert "    Content-Type: application/json" in attempts
    assert '  Token: {"webhook_id": "WH-1"}' in attempts
    assert "GET /public/v1/requests/PR-1 200" in run("trace", path, "calls")
    state = run("trace", path, "state").splitlines()
    assert state[0] == "PR-1  approved  since 2026-11-26 13:55:35 UTC, cursor 0.4"
    assert json.loads("".join(state[1:])) == {"id": "PR-1", "status": "approved", "note": "x"}
    assert run("trace", path, "diff").splitlines() == [
        'PR-1  status: "pending" → "approved"',
        'PR-1  note: "" → "x"',
    ]
    for name, key in (("attempts", "deliveries"), ("calls", "calls")):
        assert run_json("trace", path, name) == {key: content()[key]}
    assert run_json("trace", path) == content()
    assert run_json("trace", path, "diff")["changes"][1] == {
        "object": "PR-1", "path": "note", "from": "", "to": "x",
    }  # fmt: skip


def test_diff_has_changes_before_the_first_values_and_what_was_removed(write: Write) -> None:
    def change(changed: Any) -> None:
        shown, last = changed["state"][0]["moments"][1:]
        shown |= {"status": "approved", "values": {"id": "PR-1", "status": "approved", "note": ""}}
        last["values"] = {"id": "PR-1", "status": "approved"}

    path = write(change)
    rows = {row["path"]: (row["from"], row["to"]) for row in
            run_json("trace", path, "diff")["changes"]}  # fmt: skip
    assert rows == {"status": ("pending", "approved"), "note": ("", None)}
    assert run_json("trace", path, "diff", "--at", "0.1")["changes"] == []


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("0.1", "pending"), ("0.4", "approved"), ("2026-11-26T13:50:36", "pending"),
        ("2026-11-26 15:55:35+02:00", "approved"), ("2026-11-26T13:00", None),
    ],
)  # fmt: skip
def test_state_and_diff_at_a_moment(write: Write, at: str, status: str | None) -> None:
    path = write()
    found = run_json("trace", path, "state", "--at", at)["state"]
    assert (found["PR-1"]["status"] if found else None) == status
    changes = run_json("trace", path, "diff", "--from", "0.1", "--at", at)["changes"]
    assert [row["to"] for row in changes if row["path"] == "status"] == (
        ["approved"] if status == "approved" else []
    )


def test_text_of_others_controls_no_terminal(write: Write) -> None:
    nasty = "::error::\x1b]0;title\x07\x9b2J\r\u202e\ud800 ##[x]"

    def spoil(changed: Any) -> None:
        changed["trace"] |= {"name": nasty, "versions": {nasty: nasty}}
        changed["trace"]["failures"][0]["text"] = nasty
        attempt = changed["deliveries"][0]["attempts"][0]
        attempt["request"] |= {"body": nasty, "headers": {nasty: nasty}}
        attempt["response"]["body"] = attempt["error"] = nasty
        changed["calls"][1] |= {"path": nasty, "response_body": nasty}
        changed["state"][0]["moments"][2]["values"][nasty] = nasty
        changed["timeline"][0]["data"]["to"] = nasty

    path = write(spoil)
    for arguments in ((), ("attempts",), ("calls",), ("state",), ("diff",), ("--json",)):
        text = run("trace", path, *arguments)
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\ud800"}, arguments
        if arguments != ("--json",):
            assert not re.search(r"^\s*::|##\[", text, re.M), arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("state", "--at", "then"), "'then' is neither a cursor of the trace nor a time"),
        (("diff", "--from", "9.9"), "'9.9' is neither"),
        (("--at", "0.1"), "--at has no meaning for this view."),
        (("state", "--from", "0.1"), "--from has no meaning for this view."),
        (("stat",), "Did you mean"),
    ],
)
def test_wrong_usage(write: Write, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(Failed, match=said) as failed:
        run("trace", write(), *arguments)
    assert failed.value.code == 2


def test_file_that_cannot_be_read_is_one_line(write: Write, tmp_path: Path) -> None:
    path = Path(write(lambda changed: changed["timeline"][1].update(data={"objects": [3]})))
    with pytest.raises(Failed, match=r"entry 0\.2 lacks data of its kind") as failed:
        run("trace", str(path))
    assert failed.value.code == 2 and failed.value.out == ""
    path.write_bytes(b"PK\x1b[2J")
    for file in (path, tmp_path, tmp_path / "none"):
        with pytest.raises(Failed) as failed:
            run("trace", str(file), "--json")
        assert failed.value.code == 2 and json.loads(str(failed.value))["code"] == "invalid_value"


def test_open_sends_a_trace_and_signs_in_at_its_page(
    write: Write, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_run_management", lambda *arguments: "http://h/sign-in/1/2\n")
    server.answer = lambda *request: (201, {"id": "a", "path": "/traces/a/"})
    path = write()
    assert run("open", path, "--print") == "http://h/sign-in/1/2?next=/traces/a/\n"
    assert run_json("open", path) == {"url": "http://h/sign-in/1/2?next=/traces/a/"}
    method, sent_to, form = server.requests[0]
    assert (method, sent_to) == ("POST", "/sandbox/traces")
    assert Path(path).read_bytes() in form
    Path(path).write_bytes(b"damaged")
    with pytest.raises(Failed, match="It is not a trace") as failed:
        run("open", path)
    assert failed.value.code == 2 and len(server.requests) == 2
