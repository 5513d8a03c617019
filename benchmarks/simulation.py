"""`python -m benchmarks.simulation`: the lag of deliveries while one handler is down.

A model in steps of a second, not a measurement: capacities are parameters, whose defaults are from
docs/benchmarks.md. It applies the backoff of `webhooks.delivery.retry`, the limit of requests in
flight, and the order of claims, which shares the workers fairly between webhooks. `capacities` is
what one worker, one PostgreSQL and one Redis carry, computed from measured results.
"""

import argparse
import math
from bisect import bisect_right
from typing import Any

from benchmarks import table
from benchmarks.deliveries import CLAIM
from webhooks.delivery.retry import Policy

DAY = 86_400
_PER_DAY = 100e6
_PEAK = 3.0  # times the mean of a day
_ROUNDING = 1e-6
# The defaults of SIM_RETRY_BASE, SIM_RETRY_FACTOR, SIM_RETRY_CAP and SIM_FAILURE_LIMIT.
POLICY = Policy(base=300, factor=2, cap=6 * 3600, limit=10)


class Backlog:
    """Deliveries of some webhooks, oldest first, as sums over the seconds of their creation."""

    def __init__(self) -> None:
        self._created, self._delivered = [0.0], 0.0

    @property
    def size(self) -> float:
        # Sums of fractions differ by a rounding error.
        size = self._created[-1] - self._delivered
        return size if size > _ROUNDING else 0.0

    def add(self, count: float) -> None:
        self._created.append(self._created[-1] + count)

    def deliver(self, count: float) -> int:
        """Deliver the oldest, and return the second of the oldest one: the next one without any."""
        oldest = bisect_right(self._created, self._delivered + _ROUNDING) - 1
        self._delivered = min(self._delivered + count, self._created[-1])
        return oldest


def attempts_until(outage: int, policy: Policy) -> list[int]:
    """Return the seconds of the attempts to a handler that is down from 0 until `outage`.

    The last one succeeds; raises ValueError if the webhook goes out of order before.
    """
    attempts = [0]
    while attempts[-1] < outage:
        if len(attempts) >= policy.limit:
            raise ValueError(
                f"The webhook is out of order after {policy.limit} failures, at {attempts[-1]} s: "
                "somebody has to recover it."
            )
        attempts.append(round(attempts[-1] + policy.delay(len(attempts)).total_seconds()))
    return attempts


def shares(capacity: float, failing: tuple[float, int], others: tuple[float, int]) -> list[float]:
    """Return what each of two groups of webhooks gets of a capacity: fair between single webhooks.

    A group is what it can use, and its number of webhooks; what one doesn't need, the other gets.
    """
    (wanted, webhooks), (rest, more) = failing, others
    given = min(wanted, max(capacity * webhooks / (webhooks + more), capacity - rest))
    return [given, min(rest, capacity - given)]


def simulate(
    *,
    requests_per_day: float = _PER_DAY,
    peak: float = _PEAK,
    share: float = 0.05,
    webhooks: int = 10_000,
    failing_webhooks: int = 500,
    capacity: float = 6_000.0,
    in_flight: int = 10,
    response: float = 0.2,
    outage: int = 3_600,
    horizon: int = DAY,
    joining: bool = True,
) -> dict[str, Any]:
    """Return what an outage of one handler does to it and to the others.

    Args:
        requests_per_day: the mean of all handlers.
        peak: how many times the mean rate arrives all the time.
        share: the part of it that is for the handler that fails.
        webhooks: of the other handlers.
        failing_webhooks: of the handler that fails.
        capacity: what all workers deliver together per second.
        in_flight: the limit of requests of a webhook.
        response: the seconds of a request.
        outage: its seconds.
        horizon: the seconds after the recovery that are simulated at most.
        joining: events share a waiting delivery while their webhook backs off; without it, each has
            its own, as if all had been created before the first failure.

    Returns:
        In seconds from the begin of the outage: `recovered`, when the first request succeeds, and
        `caught_up`, when nothing waits any more (None if that does not happen in time). The longest
        lags: `other_lag` of the other handlers, `due_lag` of the failing one from the end of its
        backoff, and `event_lag` of an event of it from its creation. `backlog` is the most
        deliveries that waited for it, `attempts` their number to each webhook, `rate` and
        `failing_rate` the events per second.
    """
    attempts = attempts_until(outage, POLICY)
    recovered, rate = attempts[-1], requests_per_day / DAY * peak
    failing, others = Backlog(), Backlog()
    backlog, caught_up, limit = 0.0, None, in_flight / response
    other_lag = due_lag = event_lag = 0
    for second in range(recovered + horizon):
        is_down = second < recovered
        # A webhook that backs off has one delivery, which all of its events share.
        joined = failing_webhooks if second == 0 else 0
        failing.add(joined if joining and is_down else rate * share)
        others.add(rate * (1 - share))
        backlog = max(backlog, failing.size)
        to_failing, to_others = shares(
            capacity,
            (0 if is_down else min(failing.size, limit * failing_webhooks), failing_webhooks),
            (min(others.size, limit * webhooks), webhooks),
        )
        other_lag = max(other_lag, second - others.deliver(to_others))
        if is_down:
            continue
        oldest = failing.deliver(to_failing)
        due_lag = max(due_lag, second - max(oldest, recovered))
        event_lag = max(event_lag, second - oldest)
        # What has just arrived counts as no backlog.
        if not failing.size and not others.size:
            caught_up = second
            break
    return {
        "rate": rate,
        "failing_rate": rate * share,
        "recovered": recovered,
        "caught_up": caught_up,
        "backlog": backlog,
        "attempts": len(attempts),
        "other_lag": other_lag,
        "due_lag": due_lag,
        "event_lag": event_lag,
    }


def describe_outage(outage: int = 3_600, capacity: float = 6_000.0, **load: Any) -> list[str]:
    """Return the outcome with the default backoff in sentences; raises ValueError as
    `attempts_until`."""
    outcome = simulate(outage=outage, capacity=capacity, **load)
    caught_up = "not within a day"
    if outcome["caught_up"] is not None:
        caught_up = f"{outcome['caught_up'] - outcome['recovered']} s after that"
    return [
        f"{outcome['rate']:,.0f} events per second, {outcome['failing_rate']:,.0f} of them for the "
        f"handler that is down for {outage} s; capacity {capacity:,.0f} per second.",
        f"Attempts to each webhook until one succeeds: {outcome['attempts']}, the last one at "
        f"{outcome['recovered']} s.",
        f"Deliveries that waited for the handler, at most: {outcome['backlog']:,.0f}.",
        f"Nothing waits any more: {caught_up}.",
        f"Longest lag of the other handlers: {outcome['other_lag']:,.0f} s.",
        f"Longest lag of the failing handler, from the end of its backoff: "
        f"{outcome['due_lag']:,.0f} s; from the event: {outcome['event_lag']:,.0f} s.",
    ]


def capacities(measured: list[dict[str, Any]]) -> str:
    """Return the table of capacities, and the simulated outage with them, as Markdown."""
    results = {each["name"]: each for each in measured if each["name"] in ("B1", "B7")}
    rows = [row for each in results.values() for row in each["rows"]]
    figures = {row.figure: row.measured for row in rows if row.part == "distributed"}
    try:
        rate, disk = figures["deliveries per second"], figures["disk space per delivery, KiB"]
        cores = {
            "workers": figures["CPU per delivery, ms"],
            "PostgreSQL": figures["CPU of PostgreSQL per delivery, ms"],
            "Redis": figures["CPU of Redis per delivery, ms"],
        }
        claim, *_ = (row.measured for row in rows if row.part == "PostgreSQL" and row.bases)
    except (KeyError, ValueError):
        return "B1 and B7 have not been measured with PostgreSQL.\n"
    second = _PER_DAY / DAY * _PEAK
    workers = math.ceil(second / rate)
    loads = ", ".join(
        f"{name} at a load of {each['load'][0]:g} to {each['load'][1]:g}"
        for name, each in results.items()
    )
    lines = [
        f"Measured: {loads}. Other work makes all of it look slower than it is.",
        "",
        f"| | per delivery | carries per second | {_PER_DAY / 1e6:.0f} million a day, "
        f"{second:,.0f} per second at peak |",
        "|---|---|---|---|",
        f"| one worker process | | {rate:,.0f} | {workers} processes |",
        *(
            f"| one core of {name} | {table.number(spent)} ms | {1e3 / spent:,.0f} | "
            f"{table.number(second * spent / 1e3)} cores |"
            if spent
            else f"| one core of {name} | less than 0.001 ms | more than 1,000,000 | "
            "less than 0.01 cores |"
            for name, spent in cores.items()
        ),
        f"| claims of all workers | {table.number(claim)} ms for {CLAIM} | "
        f"{CLAIM / claim * 1e3:,.0f} | {second * claim / CLAIM / 10:.0f} % of the time |",
        f"| disk space of PostgreSQL | {table.number(disk)} KiB | | "
        f"{disk * _PER_DAY / 2**20:,.0f} GiB for each day that is kept |",
        "",
        f"The outage below with {workers + 1} workers:",
        "",
    ]
    for title, joining in (("Events share a delivery", True), ("Each has its own", False)):
        text = describe_outage(capacity=(workers + 1) * rate, joining=joining)
        lines += [f"*{title}:*", "", *(f"    {line}" for line in text), ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    for name, default in (simulate.__kwdefaults__ or {}).items():
        if name not in ("joining", "horizon"):
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument(
        "--own", action="store_false", dest="joining", help="each event has its own delivery"
    )
    load = parser.parse_args()
    if min(load.capacity, load.response, load.webhooks, load.failing_webhooks) <= 0:
        parser.error("capacity, response and numbers of webhooks must be greater than 0")
    if not 0 <= load.share <= 1:
        parser.error("share must be between 0 and 1")
    try:
        print("\n".join(describe_outage(**vars(load))))
    except ValueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
