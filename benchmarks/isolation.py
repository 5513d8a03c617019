"""B5 and B6: webhooks that respond, beside those that don't."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks import measure
from benchmarks.processes import Process, wait_until
from benchmarks.run import Run
from benchmarks.setups import in_both
from benchmarks.subjects import Subject
from benchmarks.table import Bound, Row, in_rounds
from benchmarks.workload import DRAIN, HEALTHY

_DRAIN, _DRAIN_AIM = Bound(1.1), Bound(1)
_LATENCY, _LATENCY_AIM = Bound(1.3), Bound(1.05)
_FULL_SLOTS = Bound(1.3)
# Webhooks that hang: 100 with ten requests each, and 4,000 with one each.
GROUPS = [100, 4000]
EACH = [10, 1]
_TIMEOUT = 300.0


def measure_drain(run: Run) -> list[Row]:
    """B5: a drain of 99 webhooks, beside one that never responds."""
    each, rounds = (10, 1) if run.quick else (100, 3)

    def drains(part: str, subject: Subject) -> list[Row]:
        # The first drain of this size is slower than the others.
        measure.drain(subject, run.handler, each)
        plain, beside = [0.0] * rounds, [0.0] * rounds
        for n in range(rounds):
            # In this order: a machine that becomes slower or faster changes both alike.
            for hanging in (False, True, True, False) * 2:
                drain = measure.drain(subject, run.handler, each, hanging=hanging)
                (beside if hanging else plain)[n] += drain.seconds
        figure = f"four drains of {DRAIN} webhooks beside one that hangs, s"
        return [in_rounds(part, figure, beside, plain, "without it", _DRAIN, _DRAIN_AIM)]

    return in_both(run, drains)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Number of rounds, and seconds of each measurement."""

    rounds: int
    seconds: int


QUICK, FULL = Sizes(1, 5), Sizes(3, 8)


@dataclass(slots=True)
class _Samples:
    """Measured values, one for each round."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    hanging: int = 0


def measure_hanging(run: Run) -> list[Row]:
    """B6: webhooks that respond, beside 1,000 and beside SIM_CALLS requests that hang."""
    sizes = QUICK if run.quick else FULL
    slots: list[int] = []

    def fixtures(workload: Process) -> None:
        slots.append(workload.ask("hanging_fixtures", handler=run.handler_url, groups=GROUPS))

    def hanging(part: str, subject: Subject) -> list[Row]:
        # Warm-up: each responding webhook succeeds once before its requests are counted.
        measure.pace(subject, run.handler, HEALTHY // measure.RATE)
        plain, beside = _Samples(), [_Samples() for _ in GROUPS]
        for _ in range(sizes.rounds):
            _measure(plain, subject, run.handler, sizes.seconds)
            for group, samples in enumerate(beside):
                hang(subject, run.handler, group, slots[-1])
                _measure(samples, subject, run.handler, sizes.seconds)
            measure.release(subject, run.handler)
        aims = (_LATENCY_AIM, None)
        floors = (_LATENCY, _FULL_SLOTS)
        return [
            row
            for samples, floor, aim in zip(beside, floors, aims, strict=True)
            for row in _rows(part, samples, plain, floor, aim)
        ]

    return in_both(run, hanging, fixtures)


def _rows(
    part: str, samples: _Samples, plain: _Samples, floor: Bound, aim: Bound | None
) -> list[Row]:
    figure = f"commit to receipt beside {samples.hanging:,} that hang"
    return [
        in_rounds(
            part, f"{figure}, p50, ms", samples.p50, plain.p50, "without", floor, aim, scale=1e3
        ),
        in_rounds(part, f"{figure}, p99, ms", samples.p99, plain.p99, "without", scale=1e3),
    ]


def hang(subject: Subject, handler: Process, group: int, slots: int) -> None:
    """Add pending deliveries of a group until the worker has no more slots for them."""
    count = GROUPS[group] * EACH[group]
    # A tenth of the slots is reserved for webhooks that respond.
    total = min(handler.ask("hanging") + count, slots - slots // 10)
    subject.workload.ask("hang", group=group, each=EACH[group])
    wait_until(
        lambda: handler.ask("hanging") >= total,
        f"{total} requests hang",
        timeout=_TIMEOUT,
        check=subject.worker,
    )


def _measure(samples: _Samples, subject: Subject, handler: Process, seconds: int) -> None:
    samples.hanging = handler.ask("hanging")
    latency = measure.pace(subject, handler, seconds)
    samples.p50.append(latency.p50)
    samples.p99.append(latency.p99)
