"""Measure the lists of both parties on one database, and build the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.processes import Process
from benchmarks.table import Bound, Row

FIRST, DEEP = Bound(2.2), Bound(3)
# At most as many statements as a page of 10; none.
SAME, NONE = Bound(1), Bound(0)


@dataclass(frozen=True, slots=True)
class Lists:
    """Sizes of a run: requests in the database, number of the deep page, rounds, and calls of
    each kind in a round."""

    requests: int
    deep: int
    rounds: int
    calls: int


def _times(part: str, side: str, deep: int, spent: dict[str, list[float]]) -> list[Row]:
    """Return the rows of CPU time: of the process, and including the database server's."""
    both = {name: [seconds * 1e3 for seconds in times] for name, times in spent.items()}
    rows = []
    for n, what in enumerate(("CPU, ms", "CPU with the server's, ms")):
        plain, first, last = (both[name][n] for name in ("plain", "first", "deep"))
        rows += [
            Row(part, f"{side}, page 1, {what}", first, plain, "plain view", FIRST),
            Row(part, f"{side}, page {deep:,}, {what}", last, first, "page 1", DEEP),
        ]
    # SQLite has no server.
    return rows if both["first"][0] != both["first"][1] else rows[:2]


def measure_lists(part: str, process: Process, sizes: Lists) -> list[Row]:
    """Fill the database, measure, print the query plans, and return the rows."""
    process.ask("prepare", count=sizes.requests)
    rows = []
    for side in ("vendor", "provider"):
        spent = process.ask(
            "measure", side=side, deep=sizes.deep, rounds=sizes.rounds, calls=sizes.calls
        )
        ten, fifty, thousand = process.ask("statements", side=side)
        scanning = process.ask("without_index", side=side)
        print("\n".join([f"{part}, as {side}:", *process.ask("plans", side=side)]), flush=True)
        for path in scanning:
            print(f"Scans a whole table: {path}")
        rows += [
            *_times(part, side, sizes.deep, spent),
            Row(part, f"{side}, SQL statements for 50", fifty, ten, "for 10", SAME),
            Row(part, f"{side}, SQL statements for 1,000", thousand, ten, "for 10", SAME),
            Row(part, f"{side}, lists that scan a whole table", len(scanning), None, "", NONE),
        ]
    return rows
