"""B4: the time from a commit to the arrival of the request, beside django-webhook's."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import measure, servers, subjects
from benchmarks.measure import Latency
from benchmarks.processes import Process
from benchmarks.run import Run
from benchmarks.setups import in_both
from benchmarks.subjects import DEFAULTS, TUNED, TUNED_ENV, DjangoWebhook, Subject
from benchmarks.table import Bound, Row, in_rounds

# Of p50 and p99.
_FLOORS = {"p50": Bound(0.5), "p99": Bound(0.8)}
_AIMS = {"p50": Bound(0.2), "p99": Bound(0.5)}
DEFAULT, BEST = "django-webhook, defaults", "django-webhook, tuned"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Seconds of each measurement, and rounds."""

    seconds: int
    rounds: int


QUICK, FULL = Sizes(3, 1), Sizes(15, 3)


def measure_latency(run: Run) -> list[Row]:
    """Measure both set-ups in turn with django-webhook, which uses Redis and PostgreSQL."""
    sizes = QUICK if run.quick else FULL
    rows: list[Row] = []
    with (
        run.optional("django-webhook"),
        run.subfolder("latency") as folder,
        servers.redis_and_database(folder, "theirs") as (database, broker),
        subjects.django_webhook(folder, run.handler_url, database, f"{broker}/1") as other,
    ):
        rows = in_both(run, lambda part, subject: _measure(part, subject, other, run, sizes))
    return rows


def _measure(
    part: str, subject: Subject, other: DjangoWebhook, run: Run, sizes: Sizes
) -> list[Row]:
    ours: dict[str, list[Latency]] = {DEFAULT: [], BEST: []}
    theirs: dict[str, list[Latency]] = {DEFAULT: [], BEST: []}
    # Warm-up, which also delivers what the fixtures have created.
    measure.drain(subject, run.handler, 3)
    for _ in range(sizes.rounds):
        for name, options, variables in ((DEFAULT, DEFAULTS, {}), (BEST, TUNED, TUNED_ENV)):
            ours[name].append(_latency(subject.committer, run, sizes.seconds))
            with ExitStack() as stack:
                stack.enter_context(other.worker(options, **variables))
                theirs[name].append(_latency(other.workload, run, sizes.seconds))
    return [
        in_rounds(
            part,
            f"commit to receipt, {percentile}, ms",
            [getattr(each, percentile) for each in ours[name]],
            [getattr(each, percentile) for each in theirs[name]],
            name,
            _FLOORS[percentile],
            _AIMS[percentile],
            scale=1e3,
        )
        for name in ours
        for percentile in ("p50", "p99")
    ]


def _latency(committer: Process, run: Run, seconds: int) -> Latency:
    """Measure a worker after it has warmed up: one has just been started, the other was idle while
    the first was measured."""
    measure.latency(committer, run.handler, 2)
    return measure.latency(committer, run.handler, seconds)
