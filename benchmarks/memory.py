"""B10: memory of a worker with 1,000 requests in flight, beside an idle bare Celery worker."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import isolation, measure, servers, subjects
from benchmarks.processes import Process, environment, running, wait_until
from benchmarks.run import Run
from benchmarks.table import Bound, Row, in_rounds
from benchmarks.workload import HEALTHY

_FLOOR, _AIM = Bound(1.15), Bound(1.05)
_ROUNDS = 3
_BARE = "bare Celery worker"


def measure_memory(run: Run) -> list[Row]:
    """Measure the proportional set size of both kinds of workers in turn."""
    rounds = 1 if run.quick else _ROUNDS
    slots: list[int] = []

    def fixtures(workload: Process) -> None:
        groups = isolation.GROUPS[:1]
        slots.append(workload.ask("hanging_fixtures", handler=run.handler_url, groups=groups))

    rows: list[Row] = []
    with (
        run.optional("memory"),
        run.subfolder("memory") as folder,
        servers.redis_and_database(folder, "memory") as (database, broker),
        subjects.distributed(folder, database, broker, fixtures) as subject,
    ):
        # Warm-up: the worker has started, and each responding webhook has succeeded.
        measure.pace(subject, run.handler, HEALTHY // measure.RATE)
        idle, hanging, bare = [], [], []
        for _ in range(rounds):
            idle.append(subject.worker.memory())
            isolation.hang(subject, run.handler, 0, slots[-1])
            hanging.append(subject.worker.memory())
            measure.release(subject, run.handler)
            bare.append(_bare(folder, f"{broker}/2"))
        figure = "memory (PSS) with 1,000 requests in flight, MiB"
        rows = [
            in_rounds("distributed", figure, hanging, bare, _BARE, _FLOOR, _AIM),
            in_rounds("distributed", "memory (PSS) of an idle worker, MiB", idle, bare, _BARE),
        ]
    return rows


def _bare(folder: Path, broker: str) -> float:
    """Return the memory of a Celery worker with its defaults and without tasks, in MiB."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "--broker",
        broker,
        "-A",
        "benchmarks.bare_celery",
        "worker",
        "--loglevel",
        "INFO",
    ]
    log = folder / "bare.log"
    log.unlink(missing_ok=True)
    with running(command, environment(), log) as worker:
        wait_until(
            lambda: log.exists() and " ready." in log.read_text(),
            "the bare worker is ready",
            timeout=60,
            check=worker,
        )
        return worker.memory()
