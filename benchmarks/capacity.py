"""`python -m benchmarks.capacity`: how long deliveries wait after an outage of one handler.

Computed, not measured: capacities are parameters, whose defaults are from docs/benchmarks.md. The
backoff is that of `webhooks.delivery.retry`; requests in flight are limited for each webhook; a
claim shares the workers fairly between webhooks. `capacities` is what one worker, one PostgreSQL
and one Redis carry, computed from measured results.
"""

import argparse
import math
from typing import Any

from benchmarks import table
from benchmarks.deliveries import CLAIM
from webhooks.states import Policy

DAY = 86_400
_PER_DAY = 100e6
_PEAK = 3.0  # times the mean of a day
# The defaults of SIM_RETRY_BASE, SIM_RETRY_FACTOR, SIM_RETRY_CAP and SIM_FAILURE_LIMIT.
POLICY = Policy(base=300, factor=2, cap=6 * 3600, limit=10)


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


def compute_outage(
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
        joining: events share a waiting delivery while their webhook backs off; without it, each has
            its own, as if all had been created before the first failure.

    Returns:
        `rate` and `failing_rate`, the events per second; `attempts`, the number of attempts to each
        webhook, of which the last one succeeds `recovered` seconds after the begin of the outage;
        `backlog`, the deliveries that wait for the handler then; `drain`, the seconds from then
        until nothing waits any more; the longest lags in seconds, `due_lag` of the backlog and
        `other_lag` of the other handlers.

    Raises:
        ValueError: the webhooks go out of order, or the capacity or a limit is too small.
    """
    attempts = attempts_until(outage, POLICY)
    rate, limit = requests_per_day / DAY * peak, in_flight / response
    failing, others = rate * share, rate * (1 - share)
    backlog = failing * attempts[-1]
    if joining:
        backlog = min(backlog, failing_webhooks)
    # Fair between single webhooks; what the other handlers don't need is for the failing one.
    fair = capacity * failing_webhooks / (failing_webhooks + webhooks)
    to_failing = min(limit * failing_webhooks, max(fair, capacity - others))
    to_others = min(others, capacity - to_failing)
    gain, spare = to_failing - failing, capacity - rate
    if min(gain, spare) <= 0 or limit * webhooks < others:
        raise ValueError("More events arrive than can be sent: the backlog never gets smaller.")
    return {
        "rate": rate,
        "failing_rate": failing,
        "attempts": len(attempts),
        "recovered": attempts[-1],
        "backlog": backlog,
        "drain": backlog / min(gain, spare),
        "due_lag": backlog / to_failing,
        "other_lag": backlog / gain * (1 - to_others / others) if others else 0.0,
    }


def describe_outage(outage: int = 3_600, capacity: float = 6_000.0, **load: Any) -> list[str]:
    result = compute_outage(outage=outage, capacity=capacity, **load)
    return [
        f"{result['rate']:,.0f} events per second, {result['failing_rate']:,.0f} of them for the "
        f"handler that is down for {outage:,} s; capacity {capacity:,.0f} per second.",
        f"Attempts to each webhook until one succeeds: {result['attempts']}, the last one at "
        f"{result['recovered']:,} s.",
        f"Deliveries that wait for the handler then: {result['backlog']:,.0f}.",
        f"Time until nothing waits any more: {result['drain']:,.0f} s.",
        f"Longest lag of the other handlers: {result['other_lag']:,.0f} s.",
        "Longest lag of the failing handler, from the end of its backoff: "
        f"{result['due_lag']:,.0f} s; from the event: {result['recovered']:,} s.",
    ]


def capacities(measured: list[dict[str, Any]]) -> str:
    """Return the table of capacities, and the outage with them, as Markdown."""
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
        lines += [f"*{title}:*", "", "```text", *text, "```", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    for name, default in (compute_outage.__kwdefaults__ or {}).items():
        if name != "joining":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument(
        "--own", action="store_false", dest="joining", help="each event has its own delivery"
    )
    load = parser.parse_args()
    positive = (load.capacity, load.response, load.webhooks, load.failing_webhooks)
    if min(positive) <= 0 or not 0 <= load.share <= 1:
        parser.error(
            "capacity, response and numbers of webhooks must be greater than 0, share from 0 to 1"
        )
    try:
        print("\n".join(describe_outage(**vars(load))))
    except ValueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
