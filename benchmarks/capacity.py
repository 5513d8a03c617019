"""What one worker, one PostgreSQL and one Redis carry, computed from measured results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import claims, simulation, table
from benchmarks.results import Result
from benchmarks.setups import DISTRIBUTED

PER_DAY = 100e6
PEAK = 3.0  # times the mean of a day
NOTHING = "B1 and B7 have not been measured with PostgreSQL."


@dataclass(frozen=True, slots=True)
class Capacity:
    """Milliseconds of CPU per delivery of each process, deliveries per second of one worker
    process, KiB of disk space per delivery, and milliseconds of a claim."""

    worker: float
    postgres: float
    redis: float
    rate: float
    disk: float
    claim: float


def of(measured: Sequence[Result]) -> Capacity | None:
    """Return the capacity by the figures of B1 and B7, or None without them."""
    rows = {result.name: result.rows for result in measured}
    figures = {row.figure: row.measured for row in rows.get("B1", []) if row.part == DISTRIBUTED}
    claim = [
        row.measured
        for row in rows.get("B7", [])
        if row.part == claims.POSTGRESQL and row.baseline is not None
    ]
    names = (
        "CPU per delivery, ms",
        "CPU of PostgreSQL per delivery, ms",
        "CPU of Redis per delivery, ms",
        "deliveries per second",
        "disk space per delivery, KiB",
    )
    if not figures.keys() >= set(names) or not claim:
        return None
    return Capacity(*(figures[name] for name in names), claim[0])


def render(measured: Sequence[Result]) -> str:
    """Return the table of capacities, and the simulated outage with them, as Markdown."""
    capacity = of(measured)
    if capacity is None:
        return f"{NOTHING}\n"
    peak = PER_DAY / simulation.DAY * PEAK
    workers = math.ceil(peak / capacity.rate)
    loads = [
        f"{result.name} at a load of {result.load[0]:g} to {result.load[1]:g}"
        for result in measured
        if result.name in ("B1", "B7")
    ]
    lines = [
        f"Measured: {', '.join(loads)}. Other work makes all of it look slower than it is.",
        "",
        f"| | per delivery | carries per second | {PER_DAY / 1e6:.0f} million a day, "
        f"{peak:,.0f} per second at peak |",
        "|---|---|---|---|",
        f"| one worker process | | {capacity.rate:,.0f} | {workers} processes |",
        *(
            _cores(name, spent, peak)
            for name, spent in (
                ("one core of workers", capacity.worker),
                ("one core of PostgreSQL", capacity.postgres),
                ("one core of Redis", capacity.redis),
            )
        ),
        f"| claims of all workers | {table.number(capacity.claim)} ms for {claims.CLAIM} | "
        f"{claims.CLAIM / capacity.claim * 1e3:,.0f} | "
        f"{peak * capacity.claim / claims.CLAIM / 10:.0f} % of the time |",
        f"| disk space of PostgreSQL | {table.number(capacity.disk)} KiB | | "
        f"{capacity.disk * PER_DAY / 2**20:,.0f} GiB for each day that is kept |",
        "",
        f"The outage below with {workers + 1} workers:",
        "",
    ]
    load = simulation.Load(PER_DAY, PEAK, capacity=(workers + 1) * capacity.rate)
    for title, joining in (("events share a delivery", True), ("each has its own", False)):
        text = simulation.describe_outage(load, joining=joining)
        lines += [f"*{title.capitalize()}:*", "", *(f"    {line}" for line in text), ""]
    return "\n".join(lines)


def _cores(name: str, milliseconds: float, peak: float) -> str:
    if not milliseconds:
        return f"| {name} | less than 0.001 ms | more than 1,000,000 | less than 0.01 cores |"
    return (
        f"| {name} | {table.number(milliseconds)} ms | {1e3 / milliseconds:,.0f} | "
        f"{table.number(peak * milliseconds / 1e3)} cores |"
    )
