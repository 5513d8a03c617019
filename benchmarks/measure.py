"""What is measured of a set-up: drains, statements, processor time, latency."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import tally
from benchmarks.clerk import DRAIN
from benchmarks.pipes import Process, until
from benchmarks.subjects import Rival, Subject

RATE = 50
_TIMEOUT = 120.0
# Of django-webhook's posts, so many are for warming up: its worker starts with all of them waiting.
_WARM_UP = 0.2


@dataclass(frozen=True, slots=True)
class Drain:
    """What became of deliveries that waited: per second, and each one's share of the worker."""

    rate: float
    seconds: float
    cpu: float
    statements: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from commit to handler."""

    p50: float
    p99: float


def drain(subject: Subject, handler: Process, each: int, *, hanging: bool = False) -> Drain:
    """Let `each` deliveries of 99 webhooks wait and be delivered, from first to last arrival.

    The worker's share is taken until the last attempt is written down.
    """
    count = DRAIN * each
    handler.ask("reset")
    cpu, statements = subject.worker.cpu(), tally.read(subject.tally)
    subject.clerk.ask("fill", each=each, hanging=hanging)
    until(
        lambda: handler.ask("count") >= count, f"{count} deliveries arrived", timeout=_TIMEOUT,
        check=subject.worker,
    )  # fmt: skip
    until(
        lambda: not subject.clerk.ask("left"), "they are recorded", timeout=_TIMEOUT,
        check=subject.worker,
    )  # fmt: skip
    cpu = subject.worker.cpu() - cpu
    statements = tally.read(subject.tally) - statements
    if hanging:
        release(subject, handler)
    span = handler.ask("span")
    seconds = span["last"] - span["first"]
    return Drain((span["count"] - 1) / seconds, seconds, cpu / count, statements / count)


def release(subject: Subject, handler: Process) -> None:
    """Answer what hangs until none of it is left, so that nothing is in flight."""

    def over() -> bool:
        handler.ask("release")
        return not subject.clerk.ask("hanging")

    until(over, "what hung is over", timeout=_TIMEOUT, check=subject.worker)


def latency(committer: Process, handler: Process, seconds: int) -> Latency:
    """Make changes at RATE and compare when each was committed with when its call arrived."""
    handler.ask("reset")
    committed = committer.ask("commit", rate=RATE, seconds=seconds)
    return compare(committed, handler, committer)


def bare_latency(bare: Process, posts: Sequence[object], handler: Process, seconds: int) -> Latency:
    """Compare when each post of the bare loop began with when it arrived."""
    handler.ask("reset")
    begun = bare.ask("paced", posts=posts, rate=RATE, seconds=seconds)
    return compare(begun, handler, bare)


def compare(
    committed: Mapping[str, Sequence[float]], handler: Process, check: Process, warm_up: int = RATE
) -> Latency:
    """Compare when changes were committed with when their calls arrived, less the first ones."""
    count = sum(map(len, committed.values()))
    until(
        lambda: handler.ask("count") >= count, f"{count} calls arrived", timeout=60, check=check
    )  # fmt: skip
    arrived = handler.ask("arrivals")
    # A call doesn't name its event; those of one webhook come in order of event.
    pairs = [
        pair
        for path, stamps in committed.items()
        for pair in zip(stamps, arrived[path] if path else _all(arrived), strict=True)
    ]
    late = [came - went for went, came in sorted(pairs)[warm_up:]]
    late.sort()
    return Latency(_percentile(late, 50), _percentile(late, 99))


def _all(arrived: Mapping[str, Sequence[float]]) -> list[float]:
    return sorted(at for times in arrived.values() for at in times)


def rival_drain(rival: Rival, handler: Process, each: int) -> Drain:
    """Let posts wait in django-webhook's broker, then start its worker."""
    count, skip = DRAIN * each, int(DRAIN * each * _WARM_UP)
    handler.ask("reset")
    rival.clerk.ask("fill", each=each)
    worker = rival.start_worker()
    until(
        lambda: handler.ask("count") >= skip, "django-webhook is warm", timeout=_TIMEOUT,
        check=worker,
    )  # fmt: skip
    cpu, warm = worker.cpu(), handler.ask("count")
    until(
        lambda: handler.ask("count") >= count, f"{count} posts arrived", timeout=_TIMEOUT,
        check=worker,
    )  # fmt: skip
    until(lambda: not rival.clerk.ask("left"), "they are recorded", timeout=60, check=worker)
    cpu = (worker.cpu() - cpu) / max(1, count - warm)
    span = handler.ask("span", skip=skip)
    seconds = span["last"] - span["first"]
    time.sleep(0.5)
    return Drain((span["count"] - 1) / seconds, seconds, cpu)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
