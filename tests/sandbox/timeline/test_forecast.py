"""The forecast of attempts, from the pure retry policy."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sandbox.timeline.deliveries import MAX_ROWS, forecast
from webhooks.states import BackoffState, Policy

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)
CONNECT = Policy(300, 2, 21600, 10)


def test_forecast_of_a_healthy_webhook_ends_out_of_order() -> None:
    rows = forecast(BackoffState(), CONNECT, NOW)
    gaps = [(b.at - a.at).total_seconds() for a, b in itertools.pairwise(rows)]
    assert gaps == [300, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600]
    assert [row.number for row in rows] == list(range(1, 11))
    assert [row.out_of_order for row in rows] == [False] * 9 + [True]
    assert rows[0].at == NOW
    assert rows[1].reason == "Failed (1 of 10)."


def test_forecast_continues_from_a_backoff() -> None:
    until = NOW + timedelta(minutes=7)
    backoff = BackoffState(until, NOW - timedelta(minutes=3), 2)
    rows = forecast(backoff, CONNECT, NOW, attempts=5, reason="Failed (2 of 10).")
    assert rows[0].at == until
    assert (rows[0].number, rows[0].reason) == (6, "Failed (2 of 10).")
    assert rows[1].at == until + timedelta(minutes=20)
    assert len(rows) == 8


def test_backoff_that_has_passed_begins_now() -> None:
    backoff = BackoffState(NOW - timedelta(hours=1), NOW - timedelta(hours=2), 1)
    assert forecast(backoff, CONNECT, NOW)[0].at == NOW


def test_webhook_out_of_order_has_no_attempts() -> None:
    assert forecast(BackoffState(None, NOW, 10, out_of_order=True), CONNECT, NOW) == []


def test_forecast_is_bounded() -> None:
    rows = forecast(BackoffState(), Policy(300, 1, 300, 10**6), NOW)
    assert len(rows) == MAX_ROWS
    assert not rows[-1].out_of_order


@given(
    st.floats(1, 1000),
    st.floats(1, 10),
    st.floats(1, 10**5),
    st.integers(1, 20),
    st.integers(0, 10**6),
)
def test_times_grow_and_the_last_is_out_of_order(
    base: float, factor: float, cap: float, limit: int, microsecond: int
) -> None:
    now = NOW + timedelta(microseconds=microsecond)
    rows = forecast(BackoffState(), Policy(base, factor, cap, limit), now)
    assert len(rows) == limit
    assert rows[-1].out_of_order and not any(row.out_of_order for row in rows[:-1])
    for before, after in itertools.pairwise(rows):
        assert after.at > before.at
