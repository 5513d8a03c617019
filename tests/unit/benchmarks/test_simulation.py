"""The simulated lag, against cases that are computed manually, and capacities of results."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.simulation import DAY, POLICY, attempts_until, capacities, shares, simulate
from benchmarks.table import Row
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


FIGURES = {
    "CPU per delivery, ms": 0.5,
    "CPU of PostgreSQL per delivery, ms": 0.25,
    "CPU of Redis per delivery, ms": 0.0,
    "deliveries per second": 1000.0,
    "disk space per delivery, KiB": 1.048576,
}
EMBEDDED = Row("CPU per delivery, ms", [0.1], part="embedded")
ROWS = [Row(name, [value], part="distributed") for name, value in FIGURES.items()]
CLAIMS = [Row("a claim", [n], [9.0], part=part) for n, part in ((1, "SQLite"), (10, "PostgreSQL"))]
B1 = {"name": "B1", "load": (0, 0), "rows": [EMBEDDED, *ROWS]}
B2 = {"name": "B2", "load": (0, 0), "rows": [Row(ROWS[0].figure, [9.0], part="distributed")]}
B7 = {"name": "B7", "load": (0, 0), "rows": CLAIMS}


@pytest.mark.parametrize("results", [[], [B1], [B7], [{**B1, "rows": ROWS[1:]}, B7]])
def test_without_its_figures_nothing_is_computed(results: list[dict[str, Any]]) -> None:
    assert "have not been measured" in capacities(results)


def test_table_has_what_a_hundred_million_a_day_need() -> None:
    text = capacities([B1, B2, B7])
    assert "B1 at a load of 0 to 0, B7 at a load of 0 to 0." in text
    # 100,000,000 / 86,400 * 3 = 3,472 per second: four workers.
    assert "3,472 per second at peak" in text
    assert "| one worker process | | 1,000 | 4 processes |" in text
    assert "| one core of workers | 0.5 ms | 2,000 | 1.74 cores |" in text
    assert "| one core of PostgreSQL | 0.25 ms | 4,000 | 0.868 cores |" in text
    assert "less than 0.01 cores" in text
    # 3,472 / 200 claims of 10 ms in a second.
    assert "| claims of all workers | 10 ms for 200 | 20,000 | 17 % of the time |" in text
    # 100,000,000 * 1.048576 KiB.
    assert "| 100 GiB for each day that is kept |" in text
    assert "with 5 workers" in text and "capacity 5,000 per second" in text
