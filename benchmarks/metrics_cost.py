"""The CPU time of a delivery with metrics, beside that of one without."""

from __future__ import annotations

from benchmarks import measure, servers, subjects
from benchmarks.processes import Process
from benchmarks.run import Run
from benchmarks.setups import EMBEDDED
from benchmarks.table import Bound, Row, in_rounds

_LIMIT = Bound(1.02)


def measure_metrics(run: Run) -> list[Row]:
    """Drain two sandboxes in turn, one of which exports metrics."""
    each, rounds = (3, 1) if run.quick else (20, 9)

    def fixtures(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url)

    port = str(servers.free_port())
    with (
        run.subfolder("metrics") as folder,
        subjects.embedded(folder, fixtures, "without") as without,
        subjects.embedded(folder, fixtures, "with", SIM_METRICS_PORT=port) as exporting,
    ):
        pair = (exporting, without)
        for subject in pair:
            measure.drain(subject, run.handler, 3)
        spent: tuple[list[float], list[float]] = ([], [])
        for n in range(rounds):
            # The other one first in every second round.
            for at in (0, 1) if n % 2 else (1, 0):
                spent[at].append(measure.drain(pair[at], run.handler, each).cpu)
    return [
        in_rounds(
            EMBEDDED,
            "CPU per delivery with metrics, ms",
            *spent,
            "without metrics",
            _LIMIT,
            scale=1e3,
        )
    ]
