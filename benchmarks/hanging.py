"""Latency of responding webhooks beside 1,000 and beside SIM_CALLS requests that hang."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from benchmarks import measure
from benchmarks.processes import Process, wait_until
from benchmarks.subjects import Subject
from benchmarks.table import Bound, Row
from benchmarks.workload import HEALTHY

RATE = 20
BOUND = Bound(1.3)
# Webhooks that hang: 100 with ten requests each, and 4,000 with one each.
GROUPS = [100, 4000]
_EACH = [10, 1]
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Number of rounds, and seconds of each measurement; medians are reported."""

    rounds: int
    seconds: int


QUICK, FULL = Sizes(1, 5), Sizes(3, 8)


@dataclass(slots=True)
class _Samples:
    """Measured values, one for each round."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    hanging: int = 0


def measure_hanging(
    part: str, subject: Subject, handler: Process, calls: int, sizes: Sizes
) -> list[Row]:
    """Measure a set-up with `calls` slots, and return the rows of the table."""
    # Warm-up: each responding webhook succeeds once before its requests are counted.
    _measure(_Samples(), subject, handler, HEALTHY // RATE)
    plain, beside = _Samples(), [_Samples() for _ in GROUPS]
    for _ in range(sizes.rounds):
        _measure(plain, subject, handler, sizes.seconds)
        for group, samples in enumerate(beside):
            _hang(subject, handler, group, calls)
            _measure(samples, subject, handler, sizes.seconds)
        measure.release(subject, handler)
    return [row for samples in beside for row in _rows(part, samples, plain)]


def _rows(part: str, samples: _Samples, plain: _Samples) -> list[Row]:
    beside = f"beside {samples.hanging:,} that hang"

    def row(figure: str, name: str, scale: float, bound: Bound | None = None) -> Row:
        # A process does not return memory to the system: take the smallest value.
        of = median if name != "memory" else min
        measured, without = (of(getattr(each, name)) * scale for each in (samples, plain))
        return Row(part, figure, measured, without, "without", bound)

    return [
        row(f"commit to handler {beside}, p50, ms", "p50", 1e3, BOUND),
        row(f"commit to handler {beside}, p99, ms", "p99", 1e3),
        row(f"memory of the worker {beside}, MiB", "memory", 1),
    ]


def _hang(subject: Subject, handler: Process, group: int, calls: int) -> None:
    """Add pending deliveries of a group until the worker has no more slots for them."""
    count = GROUPS[group] * _EACH[group]
    # A tenth of the slots is reserved for webhooks that respond.
    total = min(handler.ask("hanging") + count, calls - calls // 10)
    subject.workload.ask("hang", group=group, each=_EACH[group])
    wait_until(
        lambda: handler.ask("hanging") >= total, f"{total} requests hang", timeout=_TIMEOUT,
        check=subject.worker,
    )  # fmt: skip


def _measure(samples: _Samples, subject: Subject, handler: Process, seconds: int) -> None:
    samples.hanging = handler.ask("hanging")
    handler.ask("reset")
    committed = subject.committer.ask("pace", rate=RATE, seconds=1 + seconds)
    latency = measure.compare(committed, handler, subject.worker, RATE)
    samples.p50.append(latency.p50)
    samples.p99.append(latency.p99)
    samples.memory.append(subject.worker.memory())
