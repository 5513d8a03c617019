"""Webhooks that respond, beside 1,000 and beside SIM_CALLS requests whose handlers hang."""

from __future__ import annotations

import time
from dataclasses import dataclass

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
    """How long each of the three is measured, in seconds, without the warm-up."""

    seconds: int


QUICK, FULL = Sizes(5), Sizes(15)


def rows_of(part: str, subject: Subject, handler: Process, calls: int, sizes: Sizes) -> list[Row]:
    """Measure a set-up with `calls` slots and return the rows of the table.

    Every webhook that responds has done so once before its requests are counted.
    """
    handler.ask("reset")
    plain, memory = _latency(subject, handler, sizes), subject.worker.memory()
    rows = []
    for group, (count, each) in enumerate(zip(GROUPS, _EACH, strict=True)):
        # Of the slots a tenth is left for webhooks that respond.
        total = min(handler.ask("hanging") + count * each, calls - calls // 10)
        subject.clerk.ask("hang", group=group, each=each)
        until(
            lambda total=total: handler.ask("hanging") >= total, f"{total} requests hang",
            timeout=_TIMEOUT, check=subject.worker,
        )  # fmt: skip
        held = subject.worker.memory()
        found = _latency(subject, handler, sizes)
        name = f"{handler.ask('hanging'):,} requests hang"
        rows += [
            Row(
                part, f"commit to handler, p50, ms; {name}", found.p50 * 1e3, plain.p50 * 1e3,
                "without", BOUND,
            ),
            Row(part, f"commit to handler, p99, ms; {name}", found.p99 * 1e3, plain.p99 * 1e3,
                "without"),
            Row(part, f"memory of the worker, MiB; {name}", held, memory, "without"),
        ]  # fmt: skip
    _release(subject, handler)
    return rows


def _latency(subject: Subject, handler: Process, sizes: Sizes) -> measure.Latency:
    warm_up = HEALTHY // RATE
    handler.ask("reset")
    committed = subject.committer.ask("pace", rate=RATE, seconds=warm_up + sizes.seconds)
    return measure.compare(committed, handler, subject.committer, HEALTHY)


def _release(subject: Subject, handler: Process) -> None:
    """Answer what hangs, so that the next part begins with nothing in flight."""
    quiet = time.monotonic()
    while time.monotonic() - quiet < 2:
        if handler.ask("hanging"):
            handler.ask("release")
            quiet = time.monotonic()
        time.sleep(0.1)
        subject.worker.check()
