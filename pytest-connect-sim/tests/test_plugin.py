"""The plugin in a run of pytest, with a stand-in for the sandbox."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from pytest_connect_sim import finding
from tests.conftest import Run

Requests = Callable[[], list[dict[str, Any]]]


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
    # The reset tells where a test begins, and all tests share one connection for each party.
    assert calls[calls.index("POST /sandbox/reset") :] == ["POST /sandbox/reset"] * 2


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


def test_sandbox_of_a_version_without_new_answers_can_be_used(
    pytester: pytest.Pytester, run_with: Run, requests_made: Requests
) -> None:
    pytester.makepyfile("def test_it(connect_sim): ...")
    older = {
        "GET /sandbox/version": [404, {"error_code": "NFND_000", "errors": []}],
        "POST /sandbox/reset": [200, {"now": "", "took_ms": 1, "unsettled": []}],
    }
    run_with(older).assert_outcomes(passed=1)
    assert requests_made()[-1]["call"] == "GET /sandbox/cursor"


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
