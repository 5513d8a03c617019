"""Webhooks that respond, beside 1,000 and beside SIM_CALLS requests whose handlers hang."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from benchmarks import measure
from benchmarks.clerk import HEALTHY
from benchmarks.pipes import Process, until
from benchmarks.subjects import Subject
from benchmarks.table import Bound, Row

RATE = 20
BOUND = Bound(1.3)
# Webhooks that hang: 100 with ten requests each, and 4,000 with one each.
GROUPS = [100, 4000]
_EACH = [10, 1]
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each of the three is measured, and for how many seconds; medians count."""

    rounds: int
    seconds: int


QUICK, FULL = Sizes(1, 5), Sizes(3, 8)


@dataclass(slots=True)
class _Found:
    """What was measured in the rounds."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    hanging: int = 0


def rows_of(part: str, subject: Subject, handler: Process, calls: int, sizes: Sizes) -> list[Row]:
    """Measure a set-up with `calls` slots in turn, and return the rows of the table."""
    # Every webhook that responds has done so once before its requests are counted.
    _measure(_Found(), subject, handler, HEALTHY // RATE)
    plain, beside = _Found(), [_Found() for _ in GROUPS]
    for _ in range(sizes.rounds):
        _measure(plain, subject, handler, sizes.seconds)
        for group, found in enumerate(beside):
            _hang(subject, handler, group, calls)
            _measure(found, subject, handler, sizes.seconds)
        measure.release(subject, handler)
    return [row for found in beside for row in _rows(part, found, plain)]


def _rows(part: str, found: _Found, plain: _Found) -> list[Row]:
    beside = f"beside {found.hanging:,} that hang"

    def row(figure: str, name: str, scale: float, bound: Bound | None = None) -> Row:
        # A process keeps what it once had: of the memory the first round counts.
        of = median if name != "memory" else min
        measured, without = (of(getattr(each, name)) * scale for each in (found, plain))
        return Row(part, figure, measured, without, "without", bound)

    return [
        row(f"commit to handler {beside}, p50, ms", "p50", 1e3, BOUND),
        row(f"commit to handler {beside}, p99, ms", "p99", 1e3),
        row(f"memory of the worker {beside}, MiB", "memory", 1),
    ]


def _hang(subject: Subject, handler: Process, group: int, calls: int) -> None:
    """Let a group's deliveries wait until as many requests hang as the worker lets hang."""
    count = GROUPS[group] * _EACH[group]
    # Of the slots a tenth is left for webhooks that respond.
    total = min(handler.ask("hanging") + count, calls - calls // 10)
    subject.clerk.ask("hang", group=group, each=_EACH[group])
    until(
        lambda: handler.ask("hanging") >= total, f"{total} requests hang", timeout=_TIMEOUT,
        check=subject.worker,
    )  # fmt: skip


def _measure(found: _Found, subject: Subject, handler: Process, seconds: int) -> None:
    found.hanging = handler.ask("hanging")
    handler.ask("reset")
    committed = subject.committer.ask("pace", rate=RATE, seconds=1 + seconds)
    latency = measure.compare(committed, handler, subject.worker, RATE)
    found.p50.append(latency.p50)
    found.p99.append(latency.p99)
    found.memory.append(subject.worker.memory())
