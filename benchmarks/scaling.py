"""B11 and B12: two workers beside one, and embedded beside distributed."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import measure, servers, subjects
from benchmarks.measure import Drain
from benchmarks.processes import Process
from benchmarks.run import Run
from benchmarks.setups import DISTRIBUTED, EMBEDDED
from benchmarks.table import Bound, Row, in_rounds

_ROUNDS = 3
# The second half of the slots of a worker is for webhooks with nothing in flight, so that both
# workers have enough of them.
_WEBHOOKS, _SLOTS = 400, 100
_TWICE, _TWICE_AIM = Bound(1.8, at_least=True), Bound(1.95, at_least=True)
_CPU, _CPU_AIM = Bound(1.15), Bound(1.05)
_EMBEDDED, _EMBEDDED_AIM = Bound(0.9, at_least=True), Bound(1.2, at_least=True)


def measure_workers(run: Run) -> list[Row]:
    """B11: two workers beside one, with handlers that respond after 200 ms."""
    each, rounds = (3, 1) if run.quick else (12, _ROUNDS)

    def fixtures(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url, count=_WEBHOOKS, path="slow")

    one: list[Drain] = []
    two: list[Drain] = []
    with (
        run.optional("two workers"),
        run.subfolder("workers") as folder,
        servers.redis_and_database(folder, "workers") as (database, broker),
        subjects.distributed(
            folder, database, broker, fixtures, webhooks=_WEBHOOKS, SIM_CALLS=str(_SLOTS)
        ) as subject,
    ):
        measure.drain(subject, run.handler, 1)
        for _ in range(rounds):
            one.append(measure.drain(subject, run.handler, each))
            with subjects.worker(subject.env, folder, "second") as second:
                both = replace(subject, more=(second,))
                measure.drain(both, run.handler, 1)
                two.append(measure.drain(both, run.handler, each))
    if not two:
        return []
    name = "one worker"
    return [
        in_rounds(
            DISTRIBUTED,
            "deliveries per second of two workers",
            [each.rate for each in two],
            [each.rate for each in one],
            name,
            _TWICE,
            _TWICE_AIM,
        ),
        in_rounds(
            DISTRIBUTED,
            "CPU per delivery of two workers, ms",
            [each.cpu for each in two],
            [each.cpu for each in one],
            name,
            _CPU,
            _CPU_AIM,
            scale=1e3,
        ),
    ]


def measure_setups(run: Run) -> list[Row]:
    """B12: the drain rate of the embedded set-up, beside that of the distributed one."""
    each, rounds = (10, 1) if run.quick else (51, _ROUNDS)

    def fixtures(workload: Process) -> None:
        workload.ask("fixtures", handler=run.handler_url)

    one: list[float] = []
    many: list[float] = []
    with (
        run.optional("distributed"),
        run.subfolder("setups") as folder,
        servers.redis_and_database(folder, "setups") as (database, broker),
        subjects.embedded(folder, fixtures) as embedded,
        subjects.distributed(folder, database, broker, fixtures) as distributed,
    ):
        for subject in (embedded, distributed):
            measure.drain(subject, run.handler, 3)
        for _ in range(rounds):
            one.append(measure.drain(embedded, run.handler, each).rate)
            many.append(measure.drain(distributed, run.handler, each).rate)
    if not many:
        return []
    return [
        in_rounds(
            EMBEDDED,
            "deliveries per second",
            one,
            many,
            "PostgreSQL and Redis",
            _EMBEDDED,
            _EMBEDDED_AIM,
        )
    ]
