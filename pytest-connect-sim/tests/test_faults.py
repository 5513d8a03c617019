"""Faults of a test, with a stand-in for the sandbox."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from tests.conftest import Run

Requests = Callable[[], list[dict[str, Any]]]


def fault(fired: int = 0, asked: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": "FLT-1",
        "name": "abort-1",
        "kind": "abort",
        "side": "api",
        "webhook": None,
        "account": None,
        "method": None,
        "path": "/requests",
        "asked": asked,
        "fired": fired,
        "held": [],
        **more,
    }


def answers(then: dict[str, Any]) -> dict[str, Any]:
    """Return the answers of a sandbox in which a fault is added, and later is as `then`."""
    return {
        "POST /sandbox/faults": [201, fault()],
        "GET /sandbox/faults": [200, {"faults": [then]}],
        "GET /sandbox/faults/FLT-1": [200, then],
        "DELETE /sandbox/faults/FLT-1": [200, then],
        "DELETE /sandbox/faults": [200, {"faults": [then]}],
        "POST /sandbox/snapshots/base/restore": [200, {}],
    }


USES = {
    "kept": "connect_sim.faults.add('abort', path='/requests')",
    "block": "with connect_sim.faults.add('abort', path='/requests'): pass",
    "cleared": "connect_sim.faults.add('abort', path='/requests'); connect_sim.faults.clear()",
    "restored": "connect_sim.faults.add('abort', path='/requests'); connect_sim.restore('base')",
}


@pytest.mark.parametrize("use", USES)
def test_test_whose_fault_never_fired_fails(
    pytester: pytest.Pytester, run_with: Run, use: str
) -> None:
    pytester.makepyfile(f"def test_it(connect_sim):\n    {USES[use]}")
    result = run_with(answers(fault(asked=0)))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "A fault never fired, so this test has not tested what it is for:",
            "  abort-1 (abort of API calls, path /requests): asked for no request, never fired",
            "Make the requests that it is for, or add it with may_not_fire=True.",
        ]
    )


@pytest.mark.parametrize("use", USES)
def test_test_whose_fault_fired_passes(pytester: pytest.Pytester, run_with: Run, use: str) -> None:
    pytester.makepyfile(f"def test_it(connect_sim):\n    {USES[use]}")
    run_with(answers(fault(asked=1, fired=1))).assert_outcomes(passed=1)


def test_fault_may_be_allowed_not_to_fire(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.makepyfile(
        "def test_it(connect_sim): connect_sim.faults.add('abort', may_not_fire=True)"
    )
    run_with(answers(fault(asked=2))).assert_outcomes(passed=1)


def test_failed_test_is_reported_by_its_own_failure(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile(
        """
        def test_it(connect_sim):
            connect_sim.faults.add("abort")
            assert 1 == 2
        """
    )
    result = run_with(answers(fault()))
    result.assert_outcomes(failed=1)
    assert "never fired" not in result.stdout.str()


def test_what_is_sent(pytester: pytest.Pytester, run_with: Run, requests_made: Requests) -> None:
    pytester.makepyfile(
        """
        import pytest

        class Hook:
            def __str__(self): return "WH-1"

        @pytest.mark.connect_sim(seed=7)
        def test_it(connect_sim):
            add = connect_sim.faults.add
            add("abort", webhook=Hook(), status=500, retry_after=1, nth=2)
            add("outage", side="api", after="1h", for_="5m", seed=8)
            add("latency", path="/requests", method="GET", ms=5, after=1, times=3, ttl=60)

        def test_unseeded(connect_sim):
            connect_sim.faults.add("drop", account="VA-1", probability=0.5, name="lossy")
        """
    )
    run_with(answers(fault(fired=1))).assert_outcomes(passed=2)
    assert [each["body"] for each in requests_made() if each["call"] == "POST /sandbox/faults"] == [
        {
            "kind": "abort",
            "webhook": "WH-1",
            "nth": [2],
            "seed": 7,
            "parameters": {"status": 500, "retry_after": 1},
        },
        {"kind": "outage", "side": "api", "seed": 8, "parameters": {"after": "1h", "for": "5m"}},
        {
            "kind": "latency",
            "path": "/requests",
            "method": "GET",
            "seed": 7,
            "after": 1,
            "times": 3,
            "ttl": 60,
            "parameters": {"ms": 5},
        },
        {"kind": "drop", "account": "VA-1", "probability": 0.5, "name": "lossy", "parameters": {}},
    ]


def test_counts_held_calls_and_errors(pytester: pytest.Pytester, run_with: Run) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_connect_sim import ApiError

        def test_it(connect_sim):
            fault = connect_sim.faults.add("hold")
            assert (fault.asked, fault.fired) == (3, 2)
            assert [call["path"] for call in fault.held] == ["/a"]
            assert fault.wait_until_held() == fault.held
            with pytest.raises(AssertionError) as raised:
                fault.wait_until_held(2, timeout=0.5)
            assert str(raised.value) == (
                "abort-1 holds 1 of 2 responses after 0.5 s; it was asked for 3 calls."
            )
            assert [call["path"] for call in fault.release(1)] == ["/a"]
            fault.clear()
            assert fault.fired == 2

        def test_error(connect_sim):
            connect_sim.faults._client.root += "/elsewhere"
            with pytest.raises(ApiError):
                connect_sim.faults.add("hold")
        """
    )
    call = {"ordinal": 1, "method": "GET", "path": "/a"}
    then = fault(fired=2, asked=3, held=[call])
    more = {"POST /sandbox/faults/FLT-1/release": [200, {"released": [call], "held": []}]}
    run_with({**answers(then), **more}).assert_outcomes(passed=2)


def test_fault_that_somebody_else_cleared_keeps_its_counts(
    pytester: pytest.Pytester, run_with: Run
) -> None:
    pytester.makepyfile(
        """
        def test_it(connect_sim):
            fault = connect_sim.faults.add("hold", may_not_fire=True)
            assert fault.fired == 0
            fault.clear()
        """
    )
    gone = {"POST /sandbox/faults": [201, fault()], "GET /sandbox/faults": [200, {"faults": []}]}
    run_with(gone).assert_outcomes(passed=1)
