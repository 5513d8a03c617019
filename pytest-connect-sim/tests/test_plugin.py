"""The plugin in a run of pytest, with a stand-in for the sandbox."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from pytest_connect_sim import finding
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


def test_sandbox_is_started_once_and_reset_before_each_test(
    pytester: pytest.Pytester, run_with: Run, requests_made: Requests
) -> None:
    pytester.makepyfile(
        """
        def test_one(connect_sim, connect_sim_server):
            assert connect_sim.url == connect_sim_server.url
            assert connect_sim.api_url == connect_sim.url + "/public/v1"
            assert connect_sim.vendor_key == "SU-111-111-111:vendor"
            assert connect_sim.provider_key == "SU-222-222-222:provider"
            for each in (connect_sim, connect_sim_server, connect_sim.api()):
                assert "SU-" not in repr(each)

        def test_two(connect_sim): ...

        def test_without(): ...
        """
    )
    run_with({}).assert_outcomes(passed=3)
    calls = [each["call"] for each in requests_made()]
    assert calls.count("POST /sandbox/reset") == 2
    assert not any("lease" in call for call in calls)


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
    ("when", "tests"), [("off", []), ("on-failure", ["bad"]), ("on", ["bad", "good"])]
)
def test_traces_are_written(
    pytester: pytest.Pytester, run_with: Run, when: str, tests: list[str]
) -> None:
    pytester.makepyfile(
        test_a="""
        def test_bad(connect_sim): connect_sim.expect("PR-1").status("approved")
        def test_good(connect_sim): ...
        """
    )
    run_with(FAILING, "--connect-sim-trace", when, "--connect-sim-trace-dir", "out")
    folders = sorted(path.name for path in pytester.path.glob("out/*"))
    assert folders == [f"test_a.py-test_{name}" for name in tests]
    if tests:
        folder = pytester.path / "out" / "test_a.py-test_bad"
        assert json.loads((folder / "timeline.json").read_text()) == [ENTRY]
        assert "Expected PR-1" in (folder / "failure.txt").read_text()
        assert "served" in (folder / "sandbox.log").read_text()
        assert "SU-111" not in "".join(path.read_text() for path in folder.iterdir())


def test_marker_gives_seed_and_product(
    pytester: pytest.Pytester, run_with: Run, requests_made: Requests
) -> None:
    product = {"id": "PRD-1", "name": "P", "items": [], "params": [], "templates": []}
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.connect_sim(seed=1, product="PRD-9")

        @pytest.mark.connect_sim(product="PRD-1")
        def test_it(connect_sim):
            assert connect_sim.seed == 1
            assert connect_sim.product().id == "PRD-1"
            assert connect_sim.product(items=[{"mpn": "a"}]).id == "PRD-2"
            with pytest.raises(TypeError):
                connect_sim.product("PRD-1", items=[])
        """
    )
    answers = {
        "GET /sandbox/products/PRD-1": [200, product],
        "POST /sandbox/products": [201, {**product, "id": "PRD-2"}],
    }
    run_with(answers, "--strict-markers").assert_outcomes(passed=1)
    [body] = [e["body"] for e in requests_made() if e["call"] == "POST /sandbox/products"]
    assert body == {"items": [{"mpn": "a"}]}


@pytest.mark.parametrize(
    "arguments", ["1", "sed=1", "seed='a'", "seed=True", "product=5", "product='P', x=1"]
)
def test_wrong_marker_is_a_usage_error(
    pytester: pytest.Pytester, run_with: Run, arguments: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.connect_sim({arguments})
        def test_it(connect_sim): ...
        """
    )
    result = run_with({})
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*UsageError*test_it*connect_sim*"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", "soon"),
        ("timeout", "0"),
        ("start_timeout", "nan"),
        ("lease_timeout", "-1"),
        ("trace", "always"),
    ],
)
def test_wrong_option_is_a_usage_error(
    pytester: pytest.Pytester, run: Run, option: str, value: str
) -> None:
    pytester.makeini(f"[pytest]\nconnect_sim_{option} = {value}\n")
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*connect_sim_{option} is '{value}'*"])


def test_run_without_a_sandbox_names_the_four_ways(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "is_importable", lambda: False)
    pytester.makepyfile("def test_it(connect_sim): ...\ndef test_other(): ...")
    result = run()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "connect-sim: *, no sandbox found",
            "No sandbox is found. There are four ways*",
            "*1. *",
            "*2. *",
            "*3. *",
            "*4. *",
        ]
    )
    for text in ("During handling", "Traceback", "hidden"):
        assert text not in result.stdout.str()


def test_sandbox_that_ends_at_its_start_shows_its_output(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile("def test_it(connect_sim): ...")
    script = pytester.makepyfile(
        failing="print('No space left, ApiKey SU-111-111-111:abc'); raise SystemExit(1)"
    )
    result = run("--connect-sim-command", f"python {script}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "The sandbox ended at its start:",
            "python *failing.py --port 0 *",
            "No space left, ApiKey (hidden)",
        ]
    )


def test_command_that_does_not_exist_is_named(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(connect_sim): ...")
    result = run("--connect-sim-command", "/no/connect-sim sandbox")
    result.stdout.fnmatch_lines(["*cannot be started*: /no/connect-sim"])


def test_sandbox_does_not_get_the_database_of_the_project(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "SIM_BIND"):
        monkeypatch.setenv(name, "of the project")
    monkeypatch.setenv("SIM_SETTLE_TIME", "0.1")
    pytester.makepyfile("def test_it(connect_sim): ...")
    script = pytester.makepyfile(
        show="""
        import os
        names = [n for n, v in os.environ.items() if v == "of the project"]
        print("FOUND", names, os.environ["SIM_SETTLE_TIME"], os.environ["SIM_ENV_FILE"])
        """
    )
    result = run("--connect-sim-command", f"python {script}")
    result.stdout.fnmatch_lines(["FOUND [[][]] 0.1 /dev/null"])


def test_sandbox_of_another_version_is_warned_of(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.makepyfile("def test_it(connect_sim): ...")
    result = run_with({"GET /sandbox/version": [200, {"version": "9.9.9"}]}, "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*pytest-connect-sim is 0.1.0, but the sandbox at *is 9.9.9*"])


def test_sandbox_that_does_not_tell_its_version_can_be_used(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile("def test_it(connect_sim): ...")
    result = run_with({"GET /sandbox/version": [404, {"error_code": "NFND_000", "errors": []}]})
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("subject", ["PRD-1", "order", "TA-1"])
def test_nothing_can_be_expected_of_other_ids(
    pytester: pytest.Pytester, run_with: Run, subject: str
) -> None:
    pytester.makepyfile(f"def test_it(connect_sim): connect_sim.expect('{subject}')")
    result = run_with({})
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*ValueError: '{subject}' is not the id of *"])


def test_connect_client_is_that_of_the_party(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.mkpydir("connect")
    pytester.makepyfile(
        **{
            "connect/client": """
            class ConnectClient:
                def __init__(self, api_key, **options):
                    self.arguments = (api_key, options)
            """,
            "test_it": """
            def test_it(connect_sim):
                key, options = connect_sim.connect_client("provider").arguments
                assert key == "ApiKey SU-222-222-222:provider"
                assert options == {
                    "endpoint": connect_sim.api_url,
                    "default_headers": {"X-Sandbox-Actor": "test"},
                }
            """,
        }
    )
    pytester.syspathinsert()
    run_with({}).assert_outcomes(passed=1)


def test_url_where_nothing_answers_is_an_error(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECT_SIM_VENDOR_KEY", "SU-1:v")
    monkeypatch.setenv("CONNECT_SIM_PROVIDER_KEY", "SU-2:p")
    pytester.makepyfile("def test_it(connect_sim): ...")
    result = run("--connect-sim-url", "http://127.0.0.1:9")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["The sandbox at http://127.0.0.1:9 does not answer*"])
