"""An outage, against cases that are computed manually, and capacities of results."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.capacity import DAY, POLICY, attempts_until, capacities, compute_outage
from benchmarks.table import Row
from webhooks.states import Policy

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


def test_attempts_follow_the_backoff_until_the_handler_is_up_or_out_of_order() -> None:
    # 0, +5 min, +10, +20, +40.
    assert attempts_until(3600, POLICY) == [0, 300, 900, 2100, 4500]
    assert [attempts_until(outage, POLICY)[-1] for outage in (300, 301)] == [300, 900]
    with pytest.raises(ValueError, match="out of order after 3 failures, at 900 s"):
        attempts_until(901, Policy(base=300, factor=2, cap=6 * 3600, limit=3))


@pytest.mark.parametrize(
    ("load", "backlog", "drain", "due_lag", "other_lag"),
    [
        # 10 per second for 4,500 s. The limit in flight allows 100 per second, of which 90 are for
        # the backlog: the others need 90 of 200.
        ({}, 45_000, 500, 450, 0),
        # 120 - 90 for the others leaves 30 per second, of which 20 are for the backlog.
        ({"capacity": 120}, 45_000, 2_250, 1_500, 0),
        ({"joining": True}, 1, 1 / 90, 1 / 100, 0),
        # Half of the webhooks get half of the capacity, 60 per second, so that the backlog is sent
        # in 900 s. The others get 60 instead of 90 meanwhile: a third of their events waits then,
        # and all workers are busy until 45,000 more than arrived are sent, 20 per second.
        ({"capacity": 120, "failing_webhooks": 90}, 45_000, 2_250, 750, 300),
    ],
)
def test_backlog_is_drained_by_what_is_left_within_the_limits(
    load: dict[str, Any], backlog: float, drain: float, due_lag: float, other_lag: float
) -> None:
    assert compute_outage(**{**LOAD, **load}) == {
        "rate": 100,
        "failing_rate": 10,
        "attempts": 5,
        "recovered": 4500,
        "backlog": backlog,
        "drain": pytest.approx(drain),
        "due_lag": pytest.approx(due_lag),
        "other_lag": pytest.approx(other_lag),
    }


@pytest.mark.parametrize(
    "load",
    [
        {"capacity": 100},
        # A response takes 1 s: 10 per second, all that arrive.
        {"response": 1},
        {"response": 1, "failing_webhooks": 2, "webhooks": 8},
    ],
)
def test_lag_without_limit_is_refused(load: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never gets smaller"):
        compute_outage(**{**LOAD, **load})


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
    # 100,000,000 / 86,400 * 3 = 3,472 per second, and 3,472 / 200 claims of 10 ms in a second;
    # 100,000,000 * 1.048576 KiB.
    table = """
| | per delivery | carries per second | 100 million a day, 3,472 per second at peak |
|---|---|---|---|
| one worker process | | 1,000 | 4 processes |
| one core of workers | 0.5 ms | 2,000 | 1.74 cores |
| one core of PostgreSQL | 0.25 ms | 4,000 | 0.868 cores |
| one core of Redis | less than 0.001 ms | more than 1,000,000 | less than 0.01 cores |
| claims of all workers | 10 ms for 200 | 20,000 | 17 % of the time |
| disk space of PostgreSQL | 1.05 KiB | | 100 GiB for each day that is kept |

The outage below with 5 workers:
"""
    text = capacities([B1, B2, B7])
    assert text.startswith("Measured: B1 at a load of 0 to 0, B7 at a load of 0 to 0. Other")
    assert table in text and "capacity 5,000 per second" in text
