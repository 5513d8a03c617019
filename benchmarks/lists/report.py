"""The lists of both parties, measured on one database, become rows of the table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.pipes import Process
from benchmarks.table import Bound, Row

FIRST, DEEP = Bound(2.2), Bound(3)
# As many as the page of 10; none.
SAME, NONE = Bound(1), Bound(0)


@dataclass(frozen=True, slots=True)
class Lists:
    """How much is measured: requests in the database, which page is deep, rounds, and calls of
    each kind in a round."""

    requests: int
    deep: int
    rounds: int
    calls: int


def _times(part: str, side: str, deep: int, spent: dict[str, list[float]]) -> list[Row]:
    """Return the rows of processor time: the view's own, and the database server's with it."""
    both = {name: [seconds * 1e3 for seconds in found] for name, found in spent.items()}
    rows = []
    for n, what in enumerate(("CPU, ms", "CPU with the server's, ms")):
        plain, first, last = (both[name][n] for name in ("plain", "first", "deep"))
        rows += [
            Row(part, f"{side}, page 1, {what}", first, plain, "plain view", FIRST),
            Row(part, f"{side}, page {deep:,}, {what}", last, first, "page 1", DEEP),
        ]
    # SQLite has no server.
    return rows if both["first"][0] != both["first"][1] else rows[:2]


def rows_of(part: str, process: Process, sizes: Lists) -> list[Row]:
    """Fill the database, measure, print what it says of the measured list, and return rows."""
    process.ask("prepare", count=sizes.requests)
    rows = []
    for side in ("vendor", "provider"):
        spent = process.ask(
            "measure", side=side, deep=sizes.deep, rounds=sizes.rounds, calls=sizes.calls
        )
        ten, fifty, thousand = process.ask("statements", side=side)
        whole = process.ask("without_index", side=side)
        print("\n".join([f"{part}, as {side}:", *process.ask("plans", side=side)]), flush=True)
        for path in whole:
            print(f"Reads a whole table: {path}")
        rows += [
            *_times(part, side, sizes.deep, spent),
            Row(part, f"{side}, SQL statements for 50", fifty, ten, "for 10", SAME),
            Row(part, f"{side}, SQL statements for 1,000", thousand, ten, "for 10", SAME),
            Row(part, f"{side}, lists that read a whole table", len(whole), None, "", NONE),
        ]
    return rows
