"""Measure the same in both set-ups: embedded, and distributed."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import servers, subjects
from benchmarks.processes import Process
from benchmarks.run import Run
from benchmarks.subjects import Fixtures, Subject
from benchmarks.table import Row
from benchmarks.workload import DRAIN

EMBEDDED, DISTRIBUTED = "embedded", "distributed"
Measure = Callable[[str, Subject], list[Row]]


def in_both(
    run: Run, measure: Measure, fixtures: Fixtures | None = None, webhooks: int = DRAIN
) -> list[Row]:
    """Measure the embedded set-up, then the distributed one if its servers are installed."""

    def fill(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url, count=webhooks)

    fixtures = fixtures or fill
    with (
        run.subfolder(EMBEDDED) as folder,
        subjects.embedded(folder, fixtures, webhooks=webhooks) as subject,
    ):
        rows = measure(EMBEDDED, subject)
    with (
        run.optional(DISTRIBUTED),
        run.subfolder(DISTRIBUTED) as folder,
        servers.redis_and_database(folder, DISTRIBUTED) as (database, broker),
        subjects.distributed(folder, database, broker, fixtures, webhooks=webhooks) as subject,
    ):
        rows += measure(DISTRIBUTED, subject)
    return rows
