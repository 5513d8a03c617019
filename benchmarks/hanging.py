"""B5, B6 and B10: webhooks that respond beside those that don't, and the memory of a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks import setups
from benchmarks.part import Part
from benchmarks.processes import running, tree_memory
from benchmarks.setups import RATE, Latency, Setup
from benchmarks.table import Bound, Row, in_rounds, in_turn
from benchmarks.workload import DRAIN, EACH, GROUPS, HEALTHY
from tests.processes import environment, free_port


def drains(part: Part) -> Iterator[Row]:
    """B5: a drain of 99 webhooks, beside one that never responds."""
    each, rounds = part.size((10, 1), (100, 3))
    setup = Setup(part)
    # The first drain of this size is slower than the others.
    setup.drain(each)
    plain, beside = [0.0] * rounds, [0.0] * rounds
    for n in range(rounds):
        # In this order: a machine that becomes slower or faster changes both alike.
        for hanging in (False, True, True, False) * 2:
            (beside if hanging else plain)[n] += setup.drain(each, hanging=hanging)["seconds"]
    yield in_rounds(
        f"four drains of {DRAIN} webhooks beside one that hangs, s",
        beside,
        plain,
        "without it",
        Bound(1.1),
        Bound(1),
    )


def latency(part: Part) -> Iterator[Row]:
    """B6: webhooks that respond, beside 1,000 and beside SIM_CALLS requests that hang."""
    seconds, rounds = part.size((5, 1), (8, 3))
    setup = _set_up(part, len(GROUPS))

    def beside(group: int) -> Latency:
        return {"count": _hang(setup, group), **_latency(setup, seconds)}

    plain, *others, _ = in_turn(
        rounds,
        lambda: _latency(setup, seconds),
        lambda: beside(0),
        lambda: beside(1),
        setup.release,
    )
    for measured, aim in zip(others, (Bound(1.05), None), strict=True):
        figure = f"commit to receipt beside {measured[-1]['count']:,} that hang"
        for key, bounds in (("p50", (Bound(1.3), aim)), ("p99", ())):
            yield in_rounds(
                f"{figure}, {key}, ms", measured, plain, "without", *bounds, key=key, scale=1e3
            )


def memory(part: Part) -> Iterator[Row]:
    """B10: the proportional set size with 1,000 requests in flight, beside that of an idle bare
    Celery worker."""
    setup = _set_up(part, 1)
    idle, _, hanging, _, bare = in_turn(
        part.size(1, 3),
        lambda: tree_memory(setup.worker.popen.pid),
        lambda: _hang(setup, 0),
        lambda: tree_memory(setup.worker.popen.pid),
        setup.release,
        lambda: _bare_memory(part),
    )
    figure, beside = "memory (PSS) with 1,000 requests in flight, MiB", "bare Celery worker"
    yield in_rounds(figure, hanging, bare, beside, Bound(1.5))
    yield in_rounds("memory (PSS) of an idle worker, MiB", idle, bare, beside)


def _bare_memory(part: Part) -> float:
    """Return the memory of a Celery worker with its defaults and without tasks, in MiB."""
    broker = ("--broker", f"{part.redis.url.removesuffix('0')}2")
    command = [sys.executable, "-m", "celery", *broker, "worker", "--loglevel", "INFO"]
    log = part.folder / f"bare-{free_port()}.log"
    with running(command, environment(part.folder), log) as worker:
        worker.wait_until(lambda: " ready." in worker.printed, "the bare worker is ready")
        return tree_memory(worker.popen.pid)


def _set_up(part: Part, groups: int) -> Setup:
    """Start a set-up whose responding webhooks have succeeded once."""
    setup = Setup(part, "hanging_fixtures", groups=groups)
    _latency(setup, HEALTHY // RATE)
    return setup


def _hang(setup: Setup, group: int) -> int:
    """Add pending deliveries of a group until the worker has no more slots for them; return the
    number of requests that hang."""
    count = GROUPS[group] * EACH[group]
    # A tenth of the slots is reserved for webhooks that respond.
    total = min(setup.handler.ask("hanging") + count, setup.slots - setup.slots // 10)
    setup.workload.ask("hang", group=group)
    setup.worker.wait_until(lambda: setup.handler.ask("hanging") >= total, f"{total} requests hang")
    return int(setup.handler.ask("hanging"))


def _latency(setup: Setup, seconds: int) -> Latency:
    return setups.latency(setup.committer, setup.handler, "pace", 1 + seconds)
