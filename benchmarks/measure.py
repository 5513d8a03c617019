"""Measurements of a set-up: drains, SQL statements, CPU time and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import sql_counter
from benchmarks.processes import BenchmarkError, Process, wait_until
from benchmarks.subjects import DjangoWebhook, Subject
from benchmarks.workload import DRAIN

RATE = 20
_TIMEOUT = 300.0
# The share of django-webhook's requests that warm up its worker.
_WARM_UP = 0.2


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain of pending deliveries: deliveries per second; CPU and statements per delivery."""

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
    """Create `each` deliveries of each webhook, and measure from first to last arrival.

    The workers' CPU time is measured until the last attempt is recorded.
    """
    count = subject.webhooks * each
    handler.ask("reset")
    cpu, statements = subject.cpu(), sql_counter.read(subject.counter)
    subject.workload.ask("fill", each=each, hanging=hanging)
    finish_drain(subject, handler, count)
    cpu = subject.cpu() - cpu
    statements = sql_counter.read(subject.counter) - statements
    if hanging:
        release(subject, handler)
    seconds, rate = span(handler)
    return Drain(rate, seconds, cpu / count, statements / count)


def finish_drain(subject: Subject, handler: Process, count: int) -> None:
    """Wait until `count` requests have arrived and all attempts are recorded."""
    wait_until(
        lambda: handler.ask("count") >= count,
        f"{count} deliveries arrived",
        timeout=_TIMEOUT,
        check=subject.worker,
    )
    wait_until(
        lambda: not subject.workload.ask("pending"),
        "all are recorded",
        timeout=_TIMEOUT,
        check=subject.worker,
    )


def span(handler: Process, skip: int = 0) -> tuple[float, float]:
    """Return the seconds from first to last arrival, and the arrivals per second."""
    between = handler.ask("span", skip=skip)
    seconds = between["last"] - between["first"]
    return seconds, (between["count"] - 1) / seconds


def release(subject: Subject, handler: Process) -> None:
    """Release hanging requests until no delivery of theirs is unfinished."""

    def finished() -> bool:
        handler.ask("release")
        return not subject.workload.ask("hanging")

    wait_until(finished, "hanging requests are finished", timeout=_TIMEOUT, check=subject.worker)


def latency(committer: Process, handler: Process, seconds: int) -> Latency:
    """Make changes at RATE and measure from each commit to the arrival of its request."""
    handler.ask("reset")
    committed = committer.ask("commit", rate=RATE, seconds=seconds)
    return compare(committed, handler, committer)


def pace(subject: Subject, handler: Process, seconds: int) -> Latency:
    """Record changes at RATE for the webhooks that respond, one second more than `seconds`, and
    measure from each commit to the arrival of its request."""
    handler.ask("reset")
    committed = subject.committer.ask("pace", rate=RATE, seconds=1 + seconds)
    return compare(committed, handler, subject.worker)


def compare(
    committed: Mapping[str, Sequence[float]], handler: Process, check: Process, warm_up: int = RATE
) -> Latency:
    """Return the latency from commit to arrival, without the first `warm_up` changes."""
    count = sum(map(len, committed.values()))
    wait_until(
        lambda: handler.ask("count") >= count, f"{count} requests arrived", timeout=60, check=check
    )
    arrived = handler.ask("arrivals")
    if (total := sum(map(len, arrived.values()))) != count:
        raise BenchmarkError(f"{total} requests arrived, not {count}")
    # A request does not name its event, but those of one webhook arrive in event order.
    pairs = [
        pair
        for path, times in committed.items()
        for pair in zip(times, arrived[path] if path else _all(arrived), strict=True)
    ]
    delays = sorted(end - start for start, end in sorted(pairs)[warm_up:])
    return Latency(_percentile(delays, 50), _percentile(delays, 99))


def _all(arrived: Mapping[str, Sequence[float]]) -> list[float]:
    return sorted(at for times in arrived.values() for at in times)


def django_webhook_drain(
    setup: DjangoWebhook, handler: Process, each: int, options: tuple[str, ...], **variables: str
) -> Drain:
    """Queue requests in django-webhook's broker, then start its worker and measure it.

    The first of them warm its processes up.
    """
    count, skip = DRAIN * each, int(DRAIN * each * _WARM_UP)
    handler.ask("reset")
    setup.workload.ask("fill", each=each)
    with setup.worker(options, **variables) as worker:
        wait_until(
            lambda: handler.ask("count") >= skip,
            "django-webhook is warm",
            timeout=_TIMEOUT,
            check=worker,
        )
        cpu, warm = worker.cpu(), handler.ask("count")
        wait_until(
            lambda: handler.ask("count") >= count,
            f"{count} requests arrived",
            timeout=_TIMEOUT,
            check=worker,
        )
        wait_until(
            lambda: not setup.workload.ask("pending"),
            "all deliveries are recorded",
            timeout=60,
            check=worker,
        )
        cpu = (worker.cpu() - cpu) / max(1, count - warm)
        seconds, rate = span(handler, skip)
    return Drain(rate, seconds, cpu)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
