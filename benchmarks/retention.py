"""A drain beside the pruning of old deliveries."""

from __future__ import annotations

from benchmarks import measure
from benchmarks.processes import BenchmarkError
from benchmarks.run import Run
from benchmarks.setups import in_both
from benchmarks.subjects import Subject
from benchmarks.table import Bound, Row, in_rounds
from benchmarks.workload import DRAIN

_LIMIT = Bound(1.5)
# Old deliveries of each webhook that are inserted before each round.
_OLD = 400


def measure_retention(run: Run) -> list[Row]:
    """Drain without and with a run of retention beside it, in turn."""
    each, old, rounds = (10, 200, 1) if run.quick else (51, _OLD, 3)

    def drains(part: str, subject: Subject) -> list[Row]:
        measure.drain(subject, run.handler, 3)
        plain, beside, removed = [], [], []
        for _ in range(rounds):
            subject.workload.ask("old", each=old)
            plain.append(measure.drain(subject, run.handler, each).seconds)
            subject.workload.ask("prune")
            beside.append(measure.drain(subject, run.handler, each).seconds)
            result = subject.workload.ask("pruned")
            if not result["left"]:
                raise BenchmarkError("everything was pruned before the drain had ended")
            removed.append(result["removed"] / beside[-1])
        figure = f"{DRAIN * each:,} deliveries beside pruning, s"
        return [
            in_rounds(part, figure, beside, plain, "without it", _LIMIT),
            Row(part, "deliveries pruned per second meanwhile", sorted(removed)[len(removed) // 2]),
        ]

    return in_both(run, drains)
