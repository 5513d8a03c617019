"""B9: measure the lists of both parties on one database, and build the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import servers
from benchmarks.processes import Process, environment, module, running
from benchmarks.run import Run
from benchmarks.table import Bound, Row, in_rounds

FIRST, PEER, DEEP = Bound(3), Bound(0.6), Bound(3)
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


QUICK = Lists(requests=2_000, deep=20, rounds=3, calls=5)
FULL = Lists(requests=100_000, deep=1_000, rounds=9, calls=10)


def measure_lists(run: Run) -> list[Row]:
    """Measure on SQLite, and on PostgreSQL if there is one."""
    with run.subfolder("lists") as folder:
        rows = _lists_on(run, "SQLite", f"sqlite:///{folder}/lists.sqlite3")
        with (
            run.optional("lists on PostgreSQL"),
            servers.postgres_server() as server,
            servers.database(server, "lists") as database,
        ):
            rows += _lists_on(run, "PostgreSQL", database)
    return rows


def _lists_on(run: Run, name: str, database: str) -> list[Row]:
    env = environment(
        DATABASE_URL=database,
        SIM_DATA_DIR=str(run.folder / f"lists-{name}"),
        # The CPU time of parallel workers could not be attributed to the connection.
        PGOPTIONS="-c max_parallel_workers_per_gather=0",
    )
    with running(module("lists.calls"), env, run.folder / f"lists-{name}.log") as process:
        return _rows(name, process, QUICK if run.quick else FULL)


def _rows(part: str, process: Process, sizes: Lists) -> list[Row]:
    """Fill the database, measure, print the query plans, and return the rows."""
    process.ask("prepare", count=sizes.requests)
    rows = []
    for side in ("vendor", "provider"):
        spent = process.ask(
            "measure", side=side, deep=sizes.deep, rounds=sizes.rounds, calls=sizes.calls
        )
        ten, fifty, thousand = process.ask("statements", side=side)
        scanning = process.ask("without_index", side=side)
        print("\n".join([f"lists, {part}, as {side}:", *process.ask("plans", side=side)]))
        for path in scanning:
            print(f"Scans a whole table: {path}")
        rows += [
            *_times(part, side, sizes.deep, spent),
            Row(part, f"{side}, SQL statements for 50", fifty, ten, "for 10", SAME),
            Row(part, f"{side}, SQL statements for 1,000", thousand, ten, "for 10", SAME),
            Row(part, f"{side}, lists that scan a whole table", len(scanning), None, "", NONE),
        ]
    return rows


def _times(part: str, side: str, deep: int, spent: dict[str, list[list[float]]]) -> list[Row]:
    """Return the rows of CPU time: of the process, and including the database server's."""
    rows = []
    for n, what in enumerate(("CPU, ms", "CPU with the server's, ms")):
        plain, drf, first, last = (
            [times[n] for times in spent[name]] for name in ("plain", "drf", "first", "deep")
        )
        page = f"{side}, page 1, {what}"
        for peer, times, bound in (
            ("plain view", plain, FIRST),
            ("Django REST framework", drf, PEER),
        ):
            rows.append(in_rounds(part, page, first, times, peer, bound, scale=1e3))
        deep_page = f"{side}, page {deep:,}, {what}"
        rows.append(in_rounds(part, deep_page, last, first, "page 1", DEEP, scale=1e3))
        if part == "SQLite":
            # It has no server.
            break
    return rows
