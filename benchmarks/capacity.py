"""What one worker, one PostgreSQL and one Redis carry, computed from measured results."""

from __future__ import annotations

import math
from typing import Any

from benchmarks import simulation, table
from benchmarks.claims import CLAIM

PER_DAY = 100e6
PEAK = 3.0  # times the mean of a day
NOTHING = "B1 and B7 have not been measured with PostgreSQL."


def render(measured: list[dict[str, Any]]) -> str:
    """Return the table of capacities, and the simulated outage with them, as Markdown."""
    results = {each["name"]: each for each in measured if each["name"] in ("B1", "B7")}
    rows = [row for each in results.values() for row in each["rows"]]
    figures = {row.figure: row.measured for row in rows if row.part == "distributed"}
    claims = [row.measured for row in rows if row.part == "PostgreSQL" and row.baseline]
    try:
        rate, disk = figures["deliveries per second"], figures["disk space per delivery, KiB"]
        cores = {
            "workers": figures["CPU per delivery, ms"],
            "PostgreSQL": figures["CPU of PostgreSQL per delivery, ms"],
            "Redis": figures["CPU of Redis per delivery, ms"],
        }
        claim = claims[0]
    except LookupError:
        return f"{NOTHING}\n"
    peak = PER_DAY / simulation.DAY * PEAK
    workers = math.ceil(peak / rate)
    loads = [
        f"{name} at a load of {each['load'][0]:g} to {each['load'][1]:g}"
        for name, each in results.items()
    ]
    lines = [
        f"Measured: {', '.join(loads)}. Other work makes all of it look slower than it is.",
        "",
        f"| | per delivery | carries per second | {PER_DAY / 1e6:.0f} million a day, "
        f"{peak:,.0f} per second at peak |",
        "|---|---|---|---|",
        f"| one worker process | | {rate:,.0f} | {workers} processes |",
        *(_cores(name, spent, peak) for name, spent in cores.items()),
        f"| claims of all workers | {table.number(claim)} ms for {CLAIM} | "
        f"{CLAIM / claim * 1e3:,.0f} | {peak * claim / CLAIM / 10:.0f} % of the time |",
        f"| disk space of PostgreSQL | {table.number(disk)} KiB | | "
        f"{disk * PER_DAY / 2**20:,.0f} GiB for each day that is kept |",
        "",
        f"The outage below with {workers + 1} workers:",
        "",
    ]
    for title, joining in (("Events share a delivery", True), ("Each has its own", False)):
        text = simulation.describe_outage(
            requests_per_day=PER_DAY, peak=PEAK, capacity=(workers + 1) * rate, joining=joining
        )
        lines += [f"*{title}:*", "", *(f"    {line}" for line in text), ""]
    return "\n".join(lines)


def _cores(name: str, milliseconds: float, peak: float) -> str:
    if not milliseconds:
        return (
            f"| one core of {name} | less than 0.001 ms | more than 1,000,000 | "
            "less than 0.01 cores |"
        )
    return (
        f"| one core of {name} | {table.number(milliseconds)} ms | {1e3 / milliseconds:,.0f} | "
        f"{table.number(peak * milliseconds / 1e3)} cores |"
    )
