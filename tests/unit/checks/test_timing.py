"""What is derived from the measured valid request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.checks import timing
from tests.unit.checks.test_history import call

SECONDS = st.floats(0, 100, allow_nan=False)


def test_gap_is_the_longest_time_without_a_call() -> None:
    # Each call takes 0.1 s: gaps of 1, 1.9, and 0.9 s until the response.
    calls = [call("GET", "/requests", began=11), call("GET", "/requests", began=13)]
    measured = timing.measure(10, 4, calls)
    assert (measured.response, measured.work) == (4, 4)
    assert measured.gap == pytest.approx(1.9)


def test_work_after_the_response_counts() -> None:
    measured = timing.measure(10, 0.5, [call("POST", "/requests", began=12)])
    assert measured.work == pytest.approx(2.1)
    assert measured.gap == pytest.approx(2)


@given(SECONDS, st.lists(SECONDS, min_size=1, max_size=6))
def test_times_have_limits_and_do_not_depend_on_the_order_of_calls(
    response: float, begins: list[float]
) -> None:
    calls = [call("GET", "/requests", began=began) for began in begins]
    measured = timing.measure(0, response, calls)
    assert measured == timing.measure(0, response, calls[::-1])
    assert 0 <= measured.gap <= measured.work + 1e-9
    assert 0.2 <= measured.quiet <= 10
    assert measured.barrier >= 2 and measured.deadline >= 10 and measured.patience >= 5
    assert measured.barrier >= measured.gap and measured.deadline >= response
    assert measured.patience >= measured.work


def test_handler_that_polls_works_from_its_look_to_its_last_write() -> None:
    calls = [
        call("GET", "/requests", began=18), call("PUT", "/requests/PR-1", began=18.3),
        call("POST", "/requests/PR-1/approve", began=18.6), call("GET", "/requests", began=28),
    ]  # fmt: skip
    measured = timing.measure(10, 0.1, calls, interval=10)
    assert measured.interval == 10
    assert measured.work == pytest.approx(0.7)
    assert measured.gap == pytest.approx(0.2)
    assert measured.patience == 15
    assert timing.measure(10, 0.1, calls, interval=300).interval == 60


def test_looks_begin_with_a_list_that_is_read_after_a_pause() -> None:
    calls = [
        call("GET", "/products/PRD-1/templates", began=10), call("GET", "/requests", began=10.2),
        call("GET", "/requests", began=10.4), call("GET", "/requests/PR-1", began=15),
        call("GET", "/requests", began=20),
    ]  # fmt: skip
    assert timing.looks(calls[::-1]) == [10, 20]


def test_failed_control_ends_within_ten_seconds_of_a_response() -> None:
    assert timing.UNKNOWN.patience <= 10
