"""`--connect-sim-coverage`: the union of what the sandboxes report, its file and its exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_connect_sim import coverage
from tests.conftest import Run

TESTS = """
    import pytest

    @pytest.mark.parametrize("n", range(4))
    def test_it(connect_sim, n): ...
"""


def case(pk: str, seen: int, weight: int = 20) -> dict[str, Any]:
    return {
        "id": pk,
        "group": pk.partition(".")[0],
        "text": f"text of {pk}",
        "weight": weight,
        "seen": seen,
        "how": "Do it.",
        "stub": None if seen else f"def test_{weight}(): ...",
    }


def report(*cases: dict[str, Any], product: str = "PRD-1") -> dict[str, Any]:
    groups = [{"name": name, "title": name.title()} for name in ("fault", "api_error")]
    return {"products": [product], "groups": groups, "cases": list(cases)}


FIRST = report(case("fault.a", 2, 90), case("fault.b", 0, 80), case("api_error.c", 0))
ANSWER = {"GET /sandbox/coverage": [200, FIRST]}


def test_union_has_what_any_report_has() -> None:
    second = report(case("fault.b", 1, 80), case("fault.d", 0, 85), product="PRD-2")
    union = coverage.merge([FIRST, second])
    assert union["products"] == ["PRD-1", "PRD-2"]
    seen = {row["id"]: (row["seen"], row["stub"] is None) for row in union["cases"]}
    assert list(seen.items()) == [
        ("fault.a", (2, True)),
        ("fault.d", (0, False)),
        ("fault.b", (1, True)),
        ("api_error.c", (0, False)),
    ]
    assert (union["percent"], union["covered"], union["possible"]) == (50, 2, 4)
    # Rounded down.
    assert [group["percent"] for group in union["groups"]] == [66.6, 0]
    assert coverage.merge([])["percent"] == 0


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_summary_file_and_exit_code(
    pytester: pytest.Pytester, run_with: Run, workers: tuple[str, ...]
) -> None:
    pytester.makepyfile(TESTS)
    options = ("--connect-sim-coverage=coverage.json", "--connect-sim-fail-under=33.4")
    ended = run_with(ANSWER, *options, *workers)
    ended.assert_outcomes(passed=4)
    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    ended.stdout.fnmatch_lines(
        [
            "*Connect Sim: coverage*",
            "Fault * 1 of 2 * 50 %",
            "Api_Error * 0 of 1 * 0 %",
            "All * 1 of 3 * 33.3 %",
            "  fault.b  text of fault.b",
            "  api_error.c  text of api_error.c",
            "Tests of them: connect-sim coverage --merge coverage.json --stubs pytest",
            "ERROR: 33.3 % of the cases are covered, less than 33.4 %.",
        ]
    )
    written = json.loads((pytester.path / "coverage.json").read_text())
    expected = coverage.merge([FIRST] * (2 if workers else 1))
    assert written == expected
    enough = run_with(ANSWER, options[0], "--connect-sim-fail-under=33.3", *workers)
    assert enough.ret == pytest.ExitCode.OK
    enough.stdout.fnmatch_lines(
        ["Tests of them: connect-sim coverage --merge coverage.json --stubs pytest"]
    )


def test_without_the_options_nothing_is_read(
    pytester: pytest.Pytester, run_with: Run, requests_made: Any
) -> None:
    pytester.makepyfile(TESTS)
    ended = run_with({})
    assert "Connect Sim: coverage" not in str(ended.stdout)
    assert not any("coverage" in each["call"] for each in requests_made())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--connect-sim-coverage", "test_x.py"), "*name a file that ends with .json*"),
        (("--connect-sim-fail-under=many",), "*a percentage is required*"),
        (("--connect-sim-fail-under=101",), "*a percentage is required*"),
        (("--connect-sim-fail-under=nan",), "*a percentage is required*"),
    ],
)
def test_wrong_options_are_usage_errors(run: Run, arguments: tuple[str, ...], line: str) -> None:
    ended = run(*arguments)
    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines([line])


def test_coverage_that_cannot_be_written_or_read_fails_the_run(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile(TESTS)
    options = ("--connect-sim-coverage=missing/coverage.json", "--connect-sim-fail-under=99")
    ended = run_with(ANSWER, *options)
    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    ended.stdout.fnmatch_lines(
        ["ERROR: missing*coverage.json cannot be written: *", "ERROR: 33.3 % of the cases *"]
    )
    # The sandbox is of an older version.
    older = run_with({}, "--connect-sim-coverage")
    assert older.ret == pytest.ExitCode.TESTS_FAILED
    older.stdout.fnmatch_lines(["*The coverage cannot be read: GET /sandbox/coverage: 404*"])


def test_run_without_a_sandbox_covers_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(): ...")
    ended = run("--connect-sim-fail-under=1")
    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    ended.stdout.fnmatch_lines(["All * 0 of 0 * 0 %"])
