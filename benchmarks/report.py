"""One set-up, measured in turn with what it is compared with, becomes rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks import measure
from benchmarks.clerk import DRAIN
from benchmarks.measure import Drain, Latency
from benchmarks.pipes import Process
from benchmarks.subjects import Rival, Subject
from benchmarks.table import Bound, Row

CPU = Bound(0.9)
DRAINS = Bound(20, at_least=True)
STATEMENTS = Bound(0.5)
BESIDE_HANGING = Bound(1.3)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: deliveries of each of the 99 webhooks in a drain, and of
    django-webhook's; posts of the bare loop; seconds of steady changes; rounds."""

    each: int
    rival_each: int
    posts: int
    seconds: int
    rounds: int

    def with_(self, **changes: int) -> Sizes:
        """Return the sizes with some changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Ours:
    """What was measured of a set-up of ours; medians of the rounds."""

    drain: Drain
    beside_hanging: float
    latency: Latency
    bare_cpu: float
    bare_rate: float
    bare_latency: Latency


@dataclass(frozen=True, slots=True)
class Theirs:
    """What was measured of django-webhook."""

    drain: Drain
    latency: Latency


def measure_subject(subject: Subject, handler: Process, bare: Process, sizes: Sizes) -> Ours:
    """Measure a set-up of ours and the bare loop in turn, after a warm-up."""
    posts = subject.clerk.ask("posts")
    measure.drain(subject, handler, 3)
    plain, beside, loops = [], [], []
    for _ in range(sizes.rounds):
        loops.append(bare.ask("loop", posts=posts, count=sizes.posts))
        plain.append(measure.drain(subject, handler, sizes.each))
        beside.append(measure.drain(subject, handler, sizes.each, hanging=True).seconds)
    return Ours(
        Drain(*(_median(plain, name) for name in ("rate", "seconds", "cpu", "statements"))),
        median(beside),
        measure.latency(subject.committer, handler, sizes.seconds + 1),
        median(found["cpu"] for found in loops),
        median(found["rate"] for found in loops),
        measure.bare_latency(bare, posts, handler, sizes.seconds + 1),
    )


def measure_rival(rival: Rival, handler: Process, url: str, sizes: Sizes) -> Theirs:
    """Measure django-webhook."""
    rival.clerk.ask("fixtures", handler=url, count=DRAIN)
    drained = measure.rival_drain(rival, handler, sizes.rival_each)
    return Theirs(drained, measure.latency(rival.clerk, handler, sizes.seconds + 1))


def rows_of(part: str, ours: Ours, theirs: Theirs | None) -> list[Row]:
    """Return the rows of a set-up; those beside django-webhook only where it was measured."""

    def row(figure: str, measured: float, *more: Any) -> Row:
        return Row(part, figure, measured, *more)

    drained, late = ours.drain, ours.latency
    rows = [
        row("deliveries per second", drained.rate, ours.bare_rate, "bare loop"),
        row("CPU per delivery, ms", drained.cpu * 1e3, ours.bare_cpu * 1e3, "bare post", CPU),
        row("SQL statements per delivery", drained.statements, None, "", STATEMENTS),
        row(
            f"{DRAIN} webhooks drain beside one that hangs, s", ours.beside_hanging,
            drained.seconds, "without it", BESIDE_HANGING,
        ),
        row("commit to handler, p50, ms", late.p50 * 1e3, ours.bare_latency.p50 * 1e3, "bare post"),
        row("commit to handler, p99, ms", late.p99 * 1e3, ours.bare_latency.p99 * 1e3, "bare post"),
    ]  # fmt: skip
    if theirs is not None:
        name, other = "django-webhook", theirs.latency
        rows += [
            row("deliveries per second", drained.rate, theirs.drain.rate, name, DRAINS),
            row("CPU per delivery, ms", drained.cpu * 1e3, theirs.drain.cpu * 1e3, name),
            row("commit to handler, p50, ms", late.p50 * 1e3, other.p50 * 1e3, name),
            row("commit to handler, p99, ms", late.p99 * 1e3, other.p99 * 1e3, name),
        ]
    return rows


def _median(drains: list[Drain], name: str) -> float:
    return median(getattr(drained, name) for drained in drains)
