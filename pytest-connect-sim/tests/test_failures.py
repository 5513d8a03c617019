"""What a run of pytest reports of failed tests, with a stand-in for the sandbox."""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest

from pytest_connect_sim import reports
from tests.conftest import Run

Requests = Callable[[], list[dict[str, Any]]]

NOT_MET = {
    "error_code": "WAIT_001",
    "errors": ["Not true after 5 s of real time: PR-1 with status approved."],
    "stopped_because": "timeout",
    "reasons": ["PR-1 has been pending since 13:50:35; attempt 2 of delivery 7 is in flight"],
    "near_misses": [
        {
            "object": "PR-1",
            "webhook": None,
            "delivery": 7,
            "attempt": 2,
            "entry": None,
            "differs": [{"field": "status", "expected": "approved", "actual": "pending"}],
        },
    ],
    "unsettled": [{"kind": "in_flight", "text": "Attempt 2 of delivery 7 is in flight."}],
}
ENTRY = {
    "kind": "change",
    "at": "2026-11-26T13:50:35.120+00:00",
    "webhook": None,
    "delivery": None,
    "attempt": None,
    "object": "PR-1",
    "data": {"from": None, "to": "pending", "actor": "distributor"},
}
CALL = {
    "actor": "handler",
    "method": "POST",
    "path": "/public/v1/requests/PR-1/approve",
    "query": "",
    "status": 400,
    "request_body": "{}",
    "response_body": '{"error_code": "VAL_001", "errors": ["Parameter tenant is required."]}',
}
FAILING = {
    "POST /sandbox/wait": [408, NOT_MET],
    "GET /sandbox/timeline": [200, {"entries": [ENTRY], "cursor": "0.2"}],
    "GET /sandbox/api-calls": [200, {"calls": [CALL], "cursor": "0.2"}],
}
TIMELINE = "*2026-11-26 13:50:35.120  change    PR-1  created → pending by distributor"


def test_failed_expectation_shows_what_happened_and_not_our_stack(
    pytester: pytest.Pytester, run_with: Run, requests_made: Requests
) -> None:
    pytester.makepyfile(
        """
        def test_it(connect_sim):
            connect_sim.expect("PR-1").status("approved", within="1h")
        """
    )
    result = run_with(FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*connect_sim.expect("PR-1").status("approved", within="1h")',
            "E*ExpectationError: Expected PR-1 to be approved within 5 s; it has been pending "
            "since *; attempt 2 of delivery 7 is in flight.",
            "E*Nearest to it:",
            "E*PR-1 (delivery 7, attempt 2): status: expected approved, was pending",
            "E*Still to happen:",
            "E*Attempt 2 of delivery 7 is in flight.",
            "E*The handler's last API error:",
            "E*POST /public/v1/requests/PR-1/approve → 400",
            "E*response: VAL_001 Parameter tenant is required.",
            "E*Timeline since the test began:",
            TIMELINE,
            "test_failed_expectation*:2: ExpectationError",
            "*- Connect Sim -*",
            "http://127.0.0.1:*, seed *, plugin 0.1.0, sandbox 0.1.0",
            "*- Connect Sim: log -*",
            "served POST /sandbox/wait with (hidden)",
        ]
    )
    text = result.stdout.str()
    assert "expectations.py" not in text and "pytest_connect_sim.expectations" not in text
    assert text.count("created → pending") == 1
    assert "SU-111" not in text and "secret-link" not in text
    [wait] = [each["body"] for each in requests_made() if each["call"] == "POST /sandbox/wait"]
    assert wait == {
        "until": {"status": {"object": "PR-1", "is": "approved"}},
        "skip": True,
        "timeout": 5,
        "since": "0.1",
        "within": "1h",
    }


def attempt(*notes: str, calls: int = 0) -> dict[str, Any]:
    activity = {"notes": [{"text": note} for note in notes], "calls": [{}] * calls}
    return {"outcome": "success", "response": {"status": 200}, "handler_activity": activity}


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        ([], "  PR-1 has no deliveries: no active webhook is for its product and queue."),
        (
            [{"id": 7, "events": [{}], "attempts": [attempt()]}],
            "  delivery 7: returned 200, and has made no API calls yet.",
        ),
        (
            [
                {
                    "id": 7,
                    "events": [{}],
                    "attempts": [attempt("approve was rejected: 400", calls=1)],
                }
            ],
            "  delivery 7: approve was rejected: 400",
        ),
    ],
)
def test_failed_expectation_says_what_the_handler_did_not_do(
    pytester: pytest.Pytester, run_with: Run, deliveries: list[Any], expected: str
) -> None:
    pytester.makepyfile("def test_it(connect_sim): connect_sim.expect('PR-1').status('approved')")
    answers = {**FAILING, "GET /sandbox/deliveries": [200, {"deliveries": deliveries}]}
    run_with(answers).stdout.fnmatch_lines(["E*Remarkable:", f"E*{expected}"])


def test_timeline_is_attached_to_other_failures(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.makepyfile("def test_it(connect_sim): assert 1 == 2")
    result = run_with(FAILING)
    result.stdout.fnmatch_lines(
        [
            "*- Connect Sim: timeline since the test began -*",
            TIMELINE,
            "*last API error -*",
            "*Parameter tenant is required.",
        ]
    )


def test_soft_expectations_fail_at_the_end_together(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile(
        """
        def test_it(connect_sim):
            connect_sim.expect("PR-1", soft=True).status("approved")
            connect_sim.expect("WH-1", soft=True).failed()
            print("went on")

        def test_next(connect_sim): ...
        """
    )
    result = run_with(FAILING)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "2 soft expectations are not met.",
            "1. test_soft*.py:2: Expected PR-1 to be approved*",
            "2. test_soft*.py:3: Expected a failed request to WH-1 within 5 s; *",
            "went on",
            "FAILED *::test_it - Expected*",
        ]
    )
    assert result.stdout.str().count("created → pending") == 1


def test_hard_failure_after_a_soft_one_is_reported(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile(
        """
        def test_it(connect_sim):
            connect_sim.expect("PR-1", soft=True).status("approved")
            assert 1 == 2
        """
    )
    result = run_with(FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*assert 1 == 2",
            "*- Connect Sim: soft expectations -*",
            "1 soft expectation is not met.",
            "1. test_*.py:2: Expected PR-1 *",
            "FAILED *::test_it - assert *",
        ]
    )


def test_short_summary_is_one_sentence_in_ci_too(
    pytester: pytest.Pytester, run_with: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("def test_it(connect_sim): connect_sim.expect('PR-1').status('approved')")
    result = run_with(FAILING)
    sentence = f"Expected PR-1 to be approved within 5 s; it{NOT_MET['reasons'][0][4:]}."
    assert result.outlines[-2].partition(" - ")[2] == sentence


FAILED = {
    "number": 2,
    "outcome": "failure",
    "started_at": "2026-11-26T13:55:35.000+00:00",
    "error": "Handler returned HTTP 500 (expected 2xx).",
    "response": {"status": 500, "body": None},
    "handler_activity": {"notes": [], "calls": []},
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<title>KeyError: 'mailbox'</title>\n", "  response: <title>KeyError: 'mailbox'</title>"),
        (
            "Traceback (most recent call last):\n  File\nKeyError: 'mailbox'\n",
            "  response: KeyError: 'mailbox'",
        ),
        ("", ""),
    ],
)
def test_failed_attempt_is_named_first(
    pytester: pytest.Pytester, run_with: Run, body: str, expected: str
) -> None:
    pytester.makepyfile("def test_it(connect_sim): connect_sim.expect('PR-1').status('approved')")
    older = {**FAILED, "number": 1, "started_at": "2026-11-26T13:50:35.000+00:00"}
    delivery = {"id": 7, "webhook": "WH-1", "events": [{}], "attempts": [older, FAILED]}
    whole = {**delivery, "attempts": [older, {**FAILED, "response": {"status": 500, "body": body}}]}
    answers = {
        **FAILING,
        "GET /sandbox/deliveries": [200, {"deliveries": [delivery]}],
        "GET /sandbox/deliveries/7": [200, whole],
    }
    lines = [line[1:].strip() for line in run_with(answers).outlines if line.startswith("E ")]
    first = "Attempt 2 of delivery 7 to WH-1 failed at 2026-11-26 13:55:35.000: Handler returned "
    assert lines[1] == f"{first}HTTP 500 (expected 2xx)."
    assert lines[2] == expected.strip()


@pytest.mark.parametrize(
    ("when", "tests"),
    [
        ("off", []),
        ("on-failure", ["bad", "other", "set_up"]),
        ("on", ["bad", "good", "other", "set_up"]),
    ],
)
def test_traces_are_written(
    pytester: pytest.Pytester, run_with: Run, requests_made: Requests, when: str, tests: list[str]
) -> None:
    pytester.makepyfile(
        test_a="""
        import pytest
        @pytest.fixture
        def broken(connect_sim): raise OSError("no port")
        def test_bad(connect_sim): connect_sim.expect("PR-1").status("approved")
        def test_good(connect_sim): ...
        def test_other(connect_sim):
            connect_sim.expect("PR-1", soft=True).status("approved")
            assert connect_sim.vendor_key + chr(0) == ""
        def test_set_up(broken): ...
        def test_skipped(connect_sim): pytest.skip("not today")
        @pytest.mark.xfail
        def test_expected(connect_sim): assert False
        def test_without(): assert False
        """
    )
    run_with(FAILING, "--connect-sim-trace", when, "--connect-sim-trace-dir", "out/traces")
    files = sorted(pytester.path.glob("out/traces/*.connect-sim-trace"))
    assert [path.name for path in files] == [
        f"test_a.py-test_{name}.connect-sim-trace" for name in tests
    ]
    for path in files:
        assert path.read_text() == "a trace" and path.stat().st_mode & 0o777 == 0o600
    sent = {
        each["body"]["name"].partition("::test_")[2]: each["body"]
        for each in requests_made()
        if each["call"] == "POST /sandbox/trace-file"
    }
    assert sorted(sent) == tests
    if not tests:
        return
    bad = sent["bad"]
    assert (bad["kind"], bad["result"], bad["since"]) == ("test", "failed", "0.1")
    assert isinstance(bad["seed"], int) and {*bad["versions"]} == {
        "pytest-connect-sim", "python", "platform",
    }  # fmt: skip
    assert "Expected PR-1" in bad["report"] and "served" in bad["log"]
    [failure] = bad["failures"]
    assert failure["text"].startswith("Expected PR-1 to be approved within 5 s; it ")
    assert (failure["object"], failure["webhook"]) == ("PR-1", None)
    assert failure["near_misses"] == NOT_MET["near_misses"]
    assert [each["text"].partition(" ")[0] for each in sent["other"]["failures"]] == [
        "AssertionError:", "Expected",
    ]  # fmt: skip
    assert sent["set_up"]["failures"][0]["text"] == "OSError: no port"
    if "good" in sent:
        assert (sent["good"]["result"], sent["good"]["failures"]) == ("passed", [])
    # Neither the keys nor what they end with, which the sandbox can't recognize.
    assert "assert '(hidden)" in sent["other"]["report"]
    assert "SU-111-111-111" not in str(sent) and "'vendor'" not in str(sent)


def test_trace_that_cannot_be_written_is_said(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.makepyfile("def test_it(connect_sim): connect_sim.expect('PR-1').status('approved')")
    refused = {"error_code": "SYS_503", "errors": ["Not now."]}
    answers = {**FAILING, "POST /sandbox/trace-file": [503, refused]}
    result = run_with(answers, "--connect-sim-trace=on")
    result.stdout.fnmatch_lines(["The trace cannot be written: *503 SYS_503 Not now."])
    (pytester.path / "file").write_text("")
    result = run_with(FAILING, "--connect-sim-trace=on", "--connect-sim-trace-dir=file")
    result.stdout.fnmatch_lines(["The trace cannot be written: *"])


def test_names_of_traces_are_safe_and_different() -> None:
    names = [
        "a.py::test[x/y]",
        "a.py::test[x y]",
        "a/b.py::test",
        "a-b.py::test",
        "../../etc::test",
        "a" * 300,
        "b" + "a" * 299,
        "é",
    ]
    files = [reports.file_name(name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,180}", file)
    assert reports.file_name("tests/a.py::test_it") == "tests-a.py-test_it.connect-sim-trace"
