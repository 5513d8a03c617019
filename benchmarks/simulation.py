"""`python -m benchmarks.simulation`: the lag of deliveries while one handler is down.

A model in steps of a second, not a measurement: capacities are parameters, whose defaults are from
docs/benchmarks.md. It applies the backoff of `webhooks.delivery.retry`, the limit of requests in
flight, and the order of claims, which shares the workers fairly between webhooks.
"""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import dataclass, field, fields, replace

from webhooks.delivery.retry import Policy

DAY = 86_400
_ROUNDING = 1e-6
# The defaults of SIM_RETRY_BASE, SIM_RETRY_FACTOR, SIM_RETRY_CAP and SIM_FAILURE_LIMIT.
POLICY = Policy(base=300, factor=2, cap=6 * 3600, limit=10)


@dataclass(frozen=True, slots=True)
class Load:
    """The parameters: durations in seconds, rates per second.

    `peak` is how many times the mean rate arrives all the time; `share` is the part of it that is
    for the handler that fails. `capacity` is what all workers deliver together. With `joining`,
    events share a waiting delivery while their webhook backs off; without it, each has its own, as
    if all had been created before the first failure.
    """

    requests_per_day: float = 100e6
    peak: float = 3.0
    share: float = 0.05
    webhooks: int = 10_000
    failing_webhooks: int = 500
    capacity: float = 6_000.0
    in_flight: int = 10
    response: float = 0.2
    outage: int = 3_600
    joining: bool = True

    @property
    def rate(self) -> float:
        """Return the events that arrive per second, of all handlers."""
        return self.requests_per_day / DAY * self.peak

    def limit(self, webhooks: int) -> float:
        """Return what the limit of requests in flight allows that many webhooks per second."""
        return webhooks * self.in_flight / self.response


@dataclass(slots=True)
class Backlog:
    """Deliveries of some webhooks, by the second in which they were created, oldest first."""

    webhooks: int
    waiting: deque[list[float]] = field(default_factory=deque)
    # The number of deliveries.
    size: float = 0.0

    def add(self, second: int, count: float) -> None:
        """Add deliveries."""
        if count > 0:
            self.waiting.append([second, count])
            self.size += count

    def deliver(self, count: float) -> float | None:
        """Deliver the oldest; return the second of the oldest one, or None if there is none."""
        oldest = self.waiting[0][0] if self.waiting else None
        self.size = max(0.0, self.size - count)
        # Sums of fractions differ by a rounding error.
        while self.waiting and count >= self.waiting[0][1] - _ROUNDING:
            count -= self.waiting.popleft()[1]
        if self.waiting and count > 0:
            self.waiting[0][1] -= count
        return oldest


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result, in seconds from the begin of the outage unless it says something else.

    `recovered` is when the first request succeeds, `caught_up` when nothing waits any more (None if
    that does not happen in time). The lags are the longest ones: of the other handlers, of the
    failing one from the end of its backoff, and of an event of it from its creation.
    """

    recovered: int
    caught_up: int | None
    backlog: float
    attempts: int
    other_lag: float
    due_lag: float
    event_lag: float


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


def shares(capacity: float, demands: list[tuple[float, int]]) -> list[float]:
    """Return what each group of webhooks gets of a capacity: fair between single webhooks.

    A demand is what a group can use, and its number of webhooks; what one doesn't need, others get.
    """
    given = [0.0] * len(demands)
    open_groups = [n for n, (demand, _) in enumerate(demands) if demand > 0]
    while open_groups and capacity > _ROUNDING:
        webhooks = sum(demands[n][1] for n in open_groups)
        level = min((demands[n][0] - given[n]) / demands[n][1] for n in open_groups)
        level = min(level, capacity / webhooks)
        for n in open_groups:
            given[n] += level * demands[n][1]
        capacity -= level * webhooks
        open_groups = [n for n in open_groups if demands[n][0] - given[n] > _ROUNDING]
    return given


def simulate(load: Load, policy: Policy, horizon: int = DAY) -> Outcome:
    """Return what an outage of one handler does to it and to the others, until `horizon` seconds
    after its recovery at the latest."""
    attempts = attempts_until(load.outage, policy)
    recovered = attempts[-1]
    failing, others = Backlog(load.failing_webhooks), Backlog(load.webhooks)
    peak, lags, caught_up = 0.0, [0.0, 0.0, 0.0], None
    for second in range(recovered + horizon):
        is_down = second < recovered
        arrived = load.rate * load.share
        # A webhook that backs off has one delivery, which all of its events share.
        joined = load.joining and is_down
        failing.add(second, (load.failing_webhooks if second == 0 else 0) if joined else arrived)
        others.add(second, load.rate * (1 - load.share))
        peak = max(peak, failing.size)
        wanted = [
            (0.0 if is_down else min(failing.size, load.limit(failing.webhooks)), failing.webhooks),
            (min(others.size, load.limit(others.webhooks)), others.webhooks),
        ]
        to_failing, to_others = shares(load.capacity, wanted)
        oldest = others.deliver(to_others)
        lags[0] = max(lags[0], second - oldest if oldest is not None else 0)
        if not is_down:
            oldest = failing.deliver(to_failing)
            if oldest is not None:
                lags[1] = max(lags[1], second - max(oldest, recovered))
                lags[2] = max(lags[2], second - oldest)
            # What has just arrived counts as no backlog.
            if failing.size < _ROUNDING and others.size < _ROUNDING:
                caught_up = second
                break
    return Outcome(recovered, caught_up, peak, len(attempts), lags[0], lags[1], lags[2])


def describe_outage(load: Load, *, joining: bool) -> list[str]:
    """Return the outcome with the default backoff in sentences; raises ValueError as
    `attempts_until`."""
    load = replace(load, joining=joining)
    outcome = simulate(load, POLICY)
    caught_up = (
        "not within a day"
        if outcome.caught_up is None
        else f"{outcome.caught_up - outcome.recovered} s after that"
    )
    return [
        f"{load.rate:,.0f} events per second, {load.rate * load.share:,.0f} of them for the "
        f"handler that is down for {load.outage} s; capacity {load.capacity:,.0f} per second.",
        f"Attempts to each webhook until one succeeds: {outcome.attempts}, the last one at "
        f"{outcome.recovered} s.",
        f"Deliveries that waited for the handler, at most: {outcome.backlog:,.0f}.",
        f"Nothing waits any more: {caught_up}.",
        f"Longest lag of the other handlers: {outcome.other_lag:,.0f} s.",
        f"Longest lag of the failing handler, from the end of its backoff: "
        f"{outcome.due_lag:,.0f} s; from the event: {outcome.event_lag:,.0f} s.",
    ]


def main() -> None:
    """Simulate with the parameters of the command line, and print the outcome."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    for each in fields(Load):
        if each.name != "joining":
            name = f"--{each.name.replace('_', '-')}"
            parser.add_argument(name, type=type(each.default), default=each.default)
    parser.add_argument("--own", action="store_true", help="each event has its own delivery")
    options = vars(parser.parse_args())
    joining = not options.pop("own")
    load = replace(Load(), **options)
    if min(load.capacity, load.response, load.webhooks, load.failing_webhooks) <= 0:
        parser.error("capacity, response and numbers of webhooks must be greater than 0")
    if not 0 <= load.share <= 1:
        parser.error("share must be between 0 and 1")
    try:
        print("\n".join(describe_outage(load, joining=joining)))
    except ValueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
