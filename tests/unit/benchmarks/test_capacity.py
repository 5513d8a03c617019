"""What a worker, a PostgreSQL and a Redis carry, computed from results."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import capacity
from benchmarks.table import Row

FIGURES = {
    "CPU per delivery, ms": 0.5,
    "CPU of PostgreSQL per delivery, ms": 0.25,
    "CPU of Redis per delivery, ms": 0.0,
    "deliveries per second": 1000.0,
    "disk space per delivery, KiB": 1.048576,
}
EMBEDDED = Row("CPU per delivery, ms", 0.1, part="embedded")
ROWS = [Row(name, value, part="distributed") for name, value in FIGURES.items()]
CLAIMS = [Row("a claim", n, 9.0, part=part) for n, part in ((1, "SQLite"), (10, "PostgreSQL"))]
B1 = {"name": "B1", "load": (0, 0), "rows": [EMBEDDED, *ROWS]}
B2 = {"name": "B2", "load": (0, 0), "rows": [Row(ROWS[0].figure, 9.0, part="distributed")]}
B7 = {"name": "B7", "load": (0, 0), "rows": CLAIMS}


@pytest.mark.parametrize("results", [[], [B1], [B7], [{**B1, "rows": ROWS[1:]}, B7]])
def test_without_its_figures_nothing_is_computed(results: list[dict[str, Any]]) -> None:
    assert capacity.NOTHING in capacity.render(results)


def test_table_has_what_a_hundred_million_a_day_need() -> None:
    text = capacity.render([B1, B2, B7])
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
