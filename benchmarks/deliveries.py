"""Deliveries: their CPU time, SQL statements, latency and rate, and what has to be beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.part import Part
from benchmarks.processes import Process, tree_cpu
from benchmarks.setups import DjangoWebhook, Drain, Latency, Setup
from benchmarks.setups import latency as measure_latency
from benchmarks.table import Bound, Row, in_rounds, in_turn
from benchmarks.workload import DRAIN
from tests.processes import free_port


def posts(part: Part) -> Iterator[Row]:
    """B1: the CPU time of a delivery, beside that of a post of one `requests.Session`."""
    each, count, rounds = part.size((10, 400, 1), (51, 2_000, 3))
    setup, baseline = Setup(part), part.process("baseline", "")
    bodies = setup.workload.ask("posts")
    before = _used_by_servers(setup)
    loops, drains = in_turn(
        rounds,
        lambda: baseline.ask("loop", posts=bodies, count=count),
        lambda: setup.drain(each),
    )
    yield in_rounds(
        "CPU per delivery, ms",
        drains,
        loops,
        "Session.post",
        Bound(0.6 if part.uses_servers else 0.5),
        Bound(0.3),
        key="cpu",
        scale=1e3,
    )
    yield in_rounds("deliveries per second", drains, loops, "Session.post", key="rate")
    for figure, used in _used_by_servers(setup).items():
        yield Row(figure, (used - before[figure]) / (rounds * each * DRAIN))


def _used_by_servers(setup: Setup) -> dict[str, float]:
    """Return what PostgreSQL and Redis have used, by the figure; nothing without them."""
    if not setup.part.uses_servers:
        return {}
    with psycopg.connect(setup.env["DATABASE_URL"]) as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    postgres = int(status.partition("PPid:")[2].split()[0])
    return {
        "CPU of PostgreSQL per delivery, ms": tree_cpu(postgres) * 1e3,
        "CPU of Redis per delivery, ms": tree_cpu(setup.part.redis.process.popen.pid) * 1e3,
        "disk space per delivery, KiB": size[0] / 1024,
    }


def django_webhook_cpu(part: Part) -> Iterator[Row]:
    """B2: the CPU time of a delivery in all worker processes, beside that of django-webhook."""
    each, theirs, rounds = part.size((10, 2, 1), (51, 10, 3))
    setup, other = Setup(part), DjangoWebhook(part)
    drains, *others = in_turn(
        rounds,
        lambda: setup.drain(each),
        lambda: other.drain("defaults", theirs),
        lambda: other.drain("tuned", theirs),
    )
    bounds = ((1 / 22, 1 / 30), (1 / 14, 1 / 20))
    for kind, measured, limits in zip(other.KINDS, others, bounds, strict=True):
        beside, floors = (drains, measured, f"django-webhook, {kind}"), map(Bound, limits)
        yield in_rounds("CPU per delivery, ms", *beside, *floors, key="cpu", scale=1e3)
        yield in_rounds("deliveries per second", *beside, key="rate")


def statements(part: Part) -> Iterator[Row]:
    """B3: the SQL statements of a drain of 4,000 deliveries to 100 webhooks."""
    each, rounds = part.size((10, 1), (40, 3))
    setup = Setup(part, webhooks=100, count=100)
    [drains] = in_turn(rounds, lambda: setup.drain(each))
    yield in_rounds(
        f"SQL statements per delivery, {each * setup.webhooks:,} deliveries",
        drains,
        bound=Bound(0.06),
        key="statements",
    )


def latency(part: Part) -> Iterator[Row]:
    """B4: the time from a commit to the arrival of the request, beside django-webhook's, which
    uses Redis and PostgreSQL."""
    seconds, rounds = part.size((3, 1), (15, 3))
    setup, other = Setup(part), DjangoWebhook(part)

    def measure(committer: Process) -> Latency:
        # Two seconds first: one has just been started, the other was idle.
        measure_latency(committer, part.handler, "commit", 2)
        return measure_latency(committer, part.handler, "commit", seconds)

    def theirs(kind: str) -> Latency:
        with other.worker(kind):
            return measure(other.workload)

    measured = in_turn(
        rounds,
        lambda: measure(setup.committer),
        lambda: theirs("defaults"),
        lambda: measure(setup.committer),
        lambda: theirs("tuned"),
    )
    for n, kind in enumerate(other.KINDS):
        # The tuned one on the same servers may be nearly as fast: no aim beyond that.
        is_near = part.uses_servers and kind == "tuned"
        for key, floor, aim in (("p50", 0.5, Bound(0.2)), ("p99", 0.8, Bound(0.5))):
            yield in_rounds(
                f"commit to receipt, {key}, ms",
                *measured[2 * n : 2 * n + 2],
                f"django-webhook, {kind}",
                Bound({"p50": 0.8, "p99": 1.0}[key] if is_near else floor),
                None if is_near else aim,
                key=key,
                scale=1e3,
            )


def workers(part: Part) -> Iterator[Row]:
    """B11: two workers beside one, with handlers that respond after 200 ms.

    The second half of the slots of a worker is for webhooks with nothing in flight, so that both
    workers have enough of them.
    """
    each, rounds = part.size((3, 1), (12, 3))
    setup = Setup(part, webhooks=400, count=400, path="slow", variables={"SIM_CALLS": "100"})

    def both() -> Drain:
        with setup.another_worker():
            setup.drain(1)
            return setup.drain(each)

    one, two = in_turn(rounds, lambda: setup.drain(each), both)
    yield in_rounds(
        "deliveries per second of two workers",
        two,
        one,
        "one worker",
        Bound(1.8, at_least=True),
        Bound(1.95, at_least=True),
        key="rate",
    )
    yield in_rounds(
        "CPU per delivery of two workers, ms",
        two,
        one,
        "one worker",
        Bound(1.15),
        Bound(1.05),
        key="cpu",
        scale=1e3,
    )


def setups(part: Part) -> Iterator[Row]:
    """B12: the drain rate of the embedded set-up, beside that of the distributed one."""
    each, rounds = part.size((10, 1), (51, 3))
    one, many = Setup(part), Setup(part, uses_servers=True)
    yield in_rounds(
        "deliveries per second",
        *in_turn(rounds, lambda: one.drain(each), lambda: many.drain(each)),
        "PostgreSQL and Redis",
        Bound(0.9, at_least=True),
        Bound(1.2, at_least=True),
        key="rate",
    )


def backlog(part: Part) -> Iterator[Row]:
    """B13: a burst of 20,000 deliveries, at once and after the handler was down for an hour."""
    each, rounds = part.size((10, 1), (round(20_000 / DRAIN), 3))
    setup = Setup(part)
    bare, after = in_turn(rounds, lambda: setup.drain(each), lambda: _drain_after(setup, each))
    yield in_rounds(
        f"{DRAIN * each:,} deliveries after an outage of an hour, s",
        after,
        bare,
        "without an outage",
        Bound(1.3),
        Bound(1.1),
        key="seconds",
    )


def _drain_after(setup: Setup, each: int) -> Drain:
    """Return the drain from the first request after an outage until the last one arrives."""
    passed = wait = 0.0
    setup.handler.ask("reset")
    setup.handler.ask("down")
    setup.workload.ask("fill", each=each, hanging=False)
    while passed + wait < 3600:
        # Platform time passes for the sender only, so the retries fail one after another.
        setup.workload.ask("move_clock", seconds=wait)
        passed += wait
        wait = setup.worker.wait_until(
            lambda: setup.workload.ask("backoff"), "all webhooks back off"
        )
    setup.handler.ask("up", port=setup.part.port)
    assert not setup.handler.ask("count"), "The handler received requests while it was down."
    setup.workload.ask("move_clock", seconds=wait)
    setup.finish(DRAIN * each)
    return dict(setup.handler.ask("span"))


def metrics(part: Part) -> Iterator[Row]:
    """Drain two sandboxes in turn, one of which exports metrics."""
    each, rounds = part.size((3, 1), (20, 5))
    without = Setup(part)
    exporting = Setup(part, variables={"SIM_METRICS_PORT": str(free_port())})
    # The other one first in every second pair.
    pairs = (without, exporting, exporting, without)
    first, second, third, fourth = in_turn(rounds, *(partial(setup.drain, each) for setup in pairs))
    yield in_rounds(
        "CPU per delivery with metrics, ms",
        second + third,
        first + fourth,
        "without metrics",
        Bound(1.02),
        key="cpu",
        scale=1e3,
    )


def retention(part: Part) -> Iterator[Row]:
    """Drain without and with a run of retention beside it, in turn."""
    each, old, rounds = part.size((10, 200, 1), (51, 400, 3))
    setup = Setup(part)
    pruner = part.process("workload", **setup.variables)

    def beside_pruning() -> Drain:
        removed = 0
        with ThreadPoolExecutor(1) as thread:
            drain = thread.submit(setup.drain, each)
            while not drain.done():
                removed += pruner.ask("prune")
        assert pruner.ask("left"), "everything was pruned before the drain had ended"
        return {**drain.result(), "removed": removed / drain.result()["seconds"]}

    _, plain, beside = in_turn(
        rounds,
        lambda: setup.workload.ask("old", each=old),
        lambda: setup.drain(each),
        beside_pruning,
    )
    yield in_rounds(
        f"{DRAIN * each:,} deliveries beside pruning, s",
        beside,
        plain,
        "without it",
        Bound(1.5),
        key="seconds",
    )
    yield in_rounds("deliveries pruned per second meanwhile", beside, key="removed")
