"""The simulated lag, against cases that are computed manually."""

from __future__ import annotations

import pytest

from benchmarks.simulation import DAY, POLICY, attempts_until, shares, simulate
from webhooks.delivery.retry import Policy

# 100 events per second, 10 of them for a handler with one webhook.
LOAD = {
    "requests_per_day": 100 * DAY,
    "peak": 1,
    "share": 0.1,
    "webhooks": 90,
    "failing_webhooks": 1,
    "capacity": 200,
    "response": 0.1,
    "joining": False,
}


def test_attempts_follow_the_backoff_until_the_handler_is_up() -> None:
    # 0, +5 min, +10, +20, +40.
    assert attempts_until(3600, POLICY) == [0, 300, 900, 2100, 4500]
    assert attempts_until(300, POLICY) == [0, 300]
    assert attempts_until(301, POLICY) == [0, 300, 900]


def test_outage_until_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="out of order after 3 failures, at 900 s"):
        attempts_until(901, Policy(base=300, factor=2, cap=6 * 3600, limit=3))


@pytest.mark.parametrize(
    ("capacity", "demands", "given"),
    [
        (100, [(20, 1), (30, 1)], [20, 30]),
        # Fair between single webhooks: one of them in the first group, nine in the second.
        (100, [(1000, 1), (1000, 9)], [10, 90]),
        # What one group leaves is for the other one.
        (100, [(1000, 1), (45, 9)], [55, 45]),
        (100, [(45, 9), (1000, 1)], [45, 55]),
        (100, [(0, 5), (1000, 1)], [0, 100]),
    ],
)
def test_capacity_is_shared_fairly_between_webhooks(
    capacity: float, demands: list[tuple[float, int]], given: list[float]
) -> None:
    assert shares(capacity, *demands) == pytest.approx(given)


def test_backlog_is_drained_by_what_the_handler_itself_does_not_need() -> None:
    # 10 per second, for 4,500 s and in the second of the recovery, in which 100 are delivered, as
    # its requests in flight allow. Of the other 44,910, 90 per second. The others need 90 of 200.
    # The delivery of second 4,500 waits for the 45,000 before it: 450 s.
    assert simulate(**LOAD) == {
        "rate": 100,
        "failing_rate": 10,
        "recovered": 4500,
        "attempts": 5,
        "backlog": pytest.approx(45_010),
        "caught_up": 4500 + 499,
        "other_lag": 0,
        "event_lag": 4500,
        "due_lag": pytest.approx(450, abs=1),
    }


def test_capacity_limits_the_drain_when_it_is_smaller_than_the_limit_in_flight() -> None:
    # 120 - 90 for the others leaves 30 per second, of which 20 for the backlog: 2,250 s.
    outcome = simulate(**{**LOAD, "capacity": 120})
    assert outcome["caught_up"] - 4500 == pytest.approx(45_010 / 20, abs=2)
    assert outcome["other_lag"] == 0


def test_events_of_a_webhook_that_backs_off_share_one_delivery() -> None:
    outcome = simulate(**{**LOAD, "joining": True})
    # One of the webhook, and those of the second in which it recovers.
    assert outcome["backlog"] == pytest.approx(1 + 10)
    assert (outcome["caught_up"], outcome["due_lag"], outcome["event_lag"]) == (4500, 0, 4500)


def test_lag_of_all_grows_without_enough_capacity() -> None:
    outcome = simulate(**{**LOAD, "capacity": 80, "outage": 0, "horizon": 3600})
    assert outcome["caught_up"] is None
    # 100 arrive and 80 are delivered for an hour; the handler with one webhook has its fair share,
    # 80 / 91, and the others the rest.
    assert outcome["other_lag"] == pytest.approx(3600 * (1 - 80 * 90 / 91 / 90), rel=0.01)
