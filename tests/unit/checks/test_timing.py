"""What is derived from the measured valid request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import timing
from checks.timing import Budget, OutOfTime
from tests import patched_time
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
        call("GET", "/requests", began=18),
        call("PUT", "/requests/PR-1", began=18.3),
        call("POST", "/requests/PR-1/approve", began=18.6),
        call("GET", "/requests", began=28),
    ]
    measured = timing.measure(10, 0.1, calls, interval=10)
    assert measured.interval == 10
    assert measured.work == pytest.approx(0.7)
    assert measured.gap == pytest.approx(0.2)
    assert measured.patience == 15
    assert timing.measure(10, 0.1, calls, interval=300).interval == 60


def test_looks_begin_with_a_list_that_is_read_after_a_pause() -> None:
    calls = [
        call("GET", "/products/PRD-1/templates", began=10),
        call("GET", "/requests", began=10.2),
        call("GET", "/requests", began=10.4),
        call("GET", "/requests/PR-1", began=15),
        call("GET", "/requests", began=20),
    ]
    assert timing.looks(calls[::-1]) == [10, 20]


def test_handler_that_polls_is_quiet_before_it_looks_again() -> None:
    calls = [call("GET", "/requests", began=10.9), call("POST", "/requests/PR-1", began=11)]
    assert timing.measure(10, 0.1, calls).quiet > 1
    assert timing.measure(10, 0.1, calls, interval=1).quiet == 0.5


@pytest.mark.parametrize(
    ("begins", "path", "interval"),
    [
        ([10, 11, 12.5], "/requests", 1),
        # Each time it reads the list again when it has processed what was pending.
        ([10, 10.3, 11.3, 11.6, 12.6, 12.9], "/requests", 1),
        # Once at the start.
        ([12], "/requests", 0),
        # Two workers that start at the same time, or one after the other.
        ([12, 12.01], "/requests", 0),
        ([12, 12.3], "/requests", 0),
        # Four workers, which have looked some time ago.
        ([10, 10.3, 10.6, 10.9], "/requests", 0),
        # No list.
        ([11, 12, 13], "/requests/PR-1-2-3-001", 0),
    ],
)
def test_interval_is_the_time_between_reads_of_a_list(
    begins: list[float], path: str, interval: float
) -> None:
    calls = [call("GET", path, began=began) for began in begins]
    assert timing.interval_of(calls[::-1], 13.4) == pytest.approx(interval)


def test_pages_of_a_list_are_no_interval() -> None:
    pages = [replace(call("GET", "/requests", began=n), query=f"offset={n}") for n in range(3)]
    assert timing.interval_of(pages, 2.5) == 0


def test_failed_control_ends_within_ten_seconds_of_a_response() -> None:
    assert timing.UNKNOWN.patience <= 10


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    patched_time.replace(monkeypatch, timing, monotonic=clock)
    return clock


@pytest.fixture
def budget(clock: Clock) -> Budget:
    budget = Budget()
    budget.begin(50)
    return budget


def test_wait_that_the_time_of_a_check_ends_proves_nothing(clock: Clock, budget: Budget) -> None:
    clock.now += 45
    with pytest.raises(OutOfTime), budget.wait(10) as seconds:
        assert seconds == 5
        clock.now += seconds
    with pytest.raises(OutOfTime), budget.wait(1):
        pytest.fail("A wait began without time for it.")


def test_error_of_a_wait_that_was_cut_is_no_error_of_its_own(clock: Clock, budget: Budget) -> None:
    with pytest.raises(OutOfTime), budget.wait(120) as seconds:
        clock.now += seconds
        raise TimeoutError


@pytest.mark.parametrize(("wanted", "took"), [(10, 10), (60, 20), (50, 49.9)])
def test_wait_that_ends_in_time_counts(
    wanted: float, took: float, clock: Clock, budget: Budget
) -> None:
    with budget.wait(wanted):
        clock.now += took
    assert clock.now == 1000 + took


def test_between_checks_no_wait_is_cut(clock: Clock, budget: Budget) -> None:
    clock.now += 60
    budget.end()
    with budget.wait(3600) as seconds:
        assert seconds == 3600


def test_check_of_a_handler_that_polls_may_last_longer() -> None:
    assert timing.Timing(1, 1, 1).check == 50
    assert timing.Timing(1, 1, 1, interval=5).check == 150
