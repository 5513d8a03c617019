"""Measure one set-up and what it is compared with, and build the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks import measure
from benchmarks.measure import Drain, Latency
from benchmarks.processes import Process
from benchmarks.subjects import DjangoWebhook, Subject
from benchmarks.table import Bound, Row
from benchmarks.workload import DRAIN

CPU = Bound(0.9)
DRAINS = Bound(20, at_least=True)
STATEMENTS = Bound(0.5)
BESIDE_HANGING = Bound(1.3)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a run: deliveries per webhook in a drain, and of django-webhook's; posts of the
    baseline; seconds of steady changes; rounds."""

    each: int
    django_webhook_each: int
    posts: int
    seconds: int
    rounds: int

    def with_(self, **changes: int) -> Sizes:
        """Return a copy with changed sizes."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class SubjectResult:
    """Measurements of a set-up of ours; medians of the rounds."""

    drain: Drain
    beside_hanging: float
    latency: Latency
    baseline_cpu: float
    baseline_rate: float
    baseline_latency: Latency


@dataclass(frozen=True, slots=True)
class DjangoWebhookResult:
    """Measurements of django-webhook."""

    drain: Drain
    latency: Latency


def measure_subject(
    subject: Subject, handler: Process, baseline: Process, sizes: Sizes
) -> SubjectResult:
    """Measure a set-up of ours and the baseline in turn, after a warm-up."""
    posts = subject.workload.ask("posts")
    measure.drain(subject, handler, 3)
    plain, beside, loops = [], [], []
    for _ in range(sizes.rounds):
        loops.append(baseline.ask("loop", posts=posts, count=sizes.posts))
        plain.append(measure.drain(subject, handler, sizes.each))
        beside.append(measure.drain(subject, handler, sizes.each, hanging=True).seconds)
    return SubjectResult(
        Drain(*(_median(plain, name) for name in ("rate", "seconds", "cpu", "statements"))),
        median(beside),
        measure.latency(subject.committer, handler, sizes.seconds + 1),
        median(loop["cpu"] for loop in loops),
        median(loop["rate"] for loop in loops),
        measure.baseline_latency(baseline, posts, handler, sizes.seconds + 1),
    )


def measure_django_webhook(
    setup: DjangoWebhook, handler: Process, url: str, sizes: Sizes
) -> DjangoWebhookResult:
    """Measure django-webhook."""
    setup.workload.ask("fixtures", handler=url, count=DRAIN)
    drained = measure.django_webhook_drain(setup, handler, sizes.django_webhook_each)
    return DjangoWebhookResult(drained, measure.latency(setup.workload, handler, sizes.seconds + 1))


def build_rows(
    part: str, result: SubjectResult, other_result: DjangoWebhookResult | None
) -> list[Row]:
    """Return the rows of a set-up, with django-webhook's if it was measured."""

    def row(figure: str, measured: float, *more: Any) -> Row:
        return Row(part, figure, measured, *more)

    drained, latency, base = result.drain, result.latency, result.baseline_latency
    rows = [
        row("deliveries per second", drained.rate, result.baseline_rate, "baseline"),
        row("CPU per delivery, ms", drained.cpu * 1e3, result.baseline_cpu * 1e3, "baseline", CPU),
        row("SQL statements per delivery", drained.statements, None, "", STATEMENTS),
        row(
            f"{DRAIN} webhooks drain beside one that hangs, s", result.beside_hanging,
            drained.seconds, "without it", BESIDE_HANGING,
        ),
        row("commit to handler, p50, ms", latency.p50 * 1e3, base.p50 * 1e3, "baseline"),
        row("commit to handler, p99, ms", latency.p99 * 1e3, base.p99 * 1e3, "baseline"),
    ]  # fmt: skip
    if other_result is not None:
        name, other = "django-webhook", other_result.latency
        rows += [
            row("deliveries per second", drained.rate, other_result.drain.rate, name, DRAINS),
            row("CPU per delivery, ms", drained.cpu * 1e3, other_result.drain.cpu * 1e3, name),
            row("commit to handler, p50, ms", latency.p50 * 1e3, other.p50 * 1e3, name),
            row("commit to handler, p99, ms", latency.p99 * 1e3, other.p99 * 1e3, name),
        ]
    return rows


def _median(drains: list[Drain], name: str) -> float:
    return median(getattr(drained, name) for drained in drains)
