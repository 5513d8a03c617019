"""What a worker, a PostgreSQL and a Redis carry, computed from results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import capacity
from benchmarks.results import Result
from benchmarks.table import Row

FIGURES = {
    "CPU per delivery, ms": 0.5, "CPU of PostgreSQL per delivery, ms": 0.25,
    "CPU of Redis per delivery, ms": 0.0, "deliveries per second": 1000.0,
    "disk space per delivery, KiB": 1.048576,
}  # fmt: skip
ROWS = [Row("distributed", name, value) for name, value in FIGURES.items()]
CLAIM = Row("PostgreSQL", "claim of 200, ms", 10.0, 9.0, "few")
B1 = Result(
    "B1", "CPU", "2026-11-27T02:00:00Z", "", {}, False, (0.0, 0.0), 1.0,
    [Row("embedded", "CPU per delivery, ms", 0.1), *ROWS],
)  # fmt: skip


B7 = replace(B1, name="B7", rows=[replace(CLAIM, part="SQLite", measured=1.0), CLAIM])


def test_capacity_is_that_of_the_distributed_set_up() -> None:
    other = replace(B1, name="B2", rows=[replace(ROWS[0], measured=9.0)])
    assert capacity.of([B1, other, B7]) == capacity.Capacity(0.5, 0.25, 0.0, 1000.0, 1.048576, 10.0)


@pytest.mark.parametrize("results", [[], [B1], [B7], [replace(B1, rows=ROWS[1:]), B7]])
def test_without_its_figures_nothing_is_computed(results: list[Result]) -> None:
    assert capacity.of(results) is None
    assert capacity.NOTHING in capacity.render(results)


def test_table_has_what_a_hundred_million_a_day_need() -> None:
    text = capacity.render([B1, B7])
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
