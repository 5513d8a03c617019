"""Deliveries: CPU time, SQL statements, latency, rate and memory; claims and fan-out."""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import table
from benchmarks.part import (
    DRAIN,
    RATE,
    DjangoWebhook,
    Part,
    Setup,
    tree_cpu,
    tree_memory,
)
from benchmarks.table import Row, in_turn, row
from tests.processes import environment, free_port

CLAIM = 200  # deliveries
# In a plan, what reads all deliveries, or all that are due. Indexes of those in flight and of
# forced ones are partial: only these are read.
SCAN = re.compile(
    r"Seq Scan on webhooks_delivery\b"
    r"|\bSCAN (webhooks_delivery|c|d)\b(?!.*INDEX delivery_(calling|forced)\b)"
)
# Webhooks that respond, and groups of those that hang: their path, number, and requests of each.
_HEALTHY = 100
_HANGING = (("hang", 100, 10), ("hang", 4000, 1))


def posts(part: Part, each: int, count: int, rounds: int) -> Iterator[Row]:
    setup, baseline = Setup(part), part.process("clients", "")
    bodies = setup.workload.ask("posts")
    before = _used_by_servers(setup)
    loops, drains = in_turn(
        rounds,
        lambda: baseline.ask("post", posts=bodies, count=count),
        lambda: setup.drain(each),
    )
    beside = (drains, loops, "Session.post")
    limits = (0.6 if part.uses_servers else 0.5, 0.3)
    yield row("CPU per delivery, ms", *beside, *limits, key="cpu", scale=1e3)
    yield row("deliveries per second", *beside, key="rate")
    for figure, used in _used_by_servers(setup).items():
        yield Row(figure, [(used - before[figure]) / (rounds * each * DRAIN)])


def _used_by_servers(setup: Setup) -> dict[str, float]:
    """Return what PostgreSQL and Redis have used, by the figure; nothing without them."""
    if not setup.part.uses_servers:
        return {}
    with psycopg.connect(setup.variables["DATABASE_URL"]) as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    postgres = int(status.partition("PPid:")[2].split()[0])
    return {
        "CPU of PostgreSQL per delivery, ms": tree_cpu(postgres) * 1e3,
        "CPU of Redis per delivery, ms": tree_cpu(setup.part.redis.process.popen.pid) * 1e3,
        "disk space per delivery, KiB": size[0] / 1024,
    }


def django_webhook_cpu(part: Part, each: int, theirs: int, rounds: int) -> Iterator[Row]:
    setup, other = Setup(part), DjangoWebhook(part)
    drains, *others = in_turn(
        rounds,
        lambda: setup.drain(each),
        *(partial(other.drain, kind, theirs) for kind in other.KINDS),
    )
    limits = ((1 / 22, 1 / 30), (1 / 14, 1 / 20))
    for kind, measured, (floor, aim) in zip(other.KINDS, others, limits, strict=True):
        beside = (drains, measured, f"django-webhook, {kind}")
        yield row("CPU per delivery, ms", *beside, floor, aim, key="cpu", scale=1e3)
        yield row("deliveries per second", *beside, key="rate")


def statements(part: Part, each: int, rounds: int) -> Iterator[Row]:
    drains = in_turn(rounds, partial(Setup(part, ("drain", 100)).drain, each))
    yield row(
        f"SQL statements per delivery, {each * 100:,} deliveries",
        *drains,
        floor=0.06,
        key="statements",
    )


def commit_to_receipt(part: Part, seconds: int, rounds: int) -> Iterator[Row]:
    setup, other = Setup(part, paced=8), DjangoWebhook(part)

    def measure(kind: str = "") -> dict[str, float]:
        with part.round():
            if kind:
                other.start_worker(kind)
            committer = other.workload if kind else setup.committer
            # Two seconds first: one has just been started, the other was idle.
            part.latency(committer, 2)
            return part.latency(committer, seconds)

    measured = in_turn(
        rounds, *(call for kind in other.KINDS for call in (measure, partial(measure, kind)))
    )
    for n, kind in enumerate(other.KINDS):
        limits = {"p50": (0.5, 0.2), "p99": (0.8, 0.5)}
        if part.uses_servers and kind == "tuned":
            # On the same servers it may be nearly as fast: no aim beyond that.
            limits = {"p50": (0.8, None), "p99": (1.0, None)}
        beside = (*measured[2 * n : 2 * n + 2], f"django-webhook, {kind}")
        for key, pair in limits.items():
            yield row(f"commit to receipt, {key}, ms", *beside, *pair, key=key, scale=1e3)


def drains_beside_hanging(part: Part, each: int, rounds: int) -> Iterator[Row]:
    setup = Setup(part, ("drain", DRAIN), ("hang", 1))
    # The first drain of this size is slower than the others.
    setup.drain(each)
    # In this order: a machine that becomes slower or faster changes both alike.
    order = (False, True, True, False) * 2
    drains = in_turn(rounds, *(partial(setup.drain, each, hanging=hanging) for hanging in order))
    plain, beside = (
        [sum(drain["seconds"] for drain in four) for four in zip(*kind, strict=True)]
        for kind in ([drains[n] for n in (0, 3, 4, 7)], [drains[n] for n in (1, 2, 5, 6)])
    )
    yield Row(
        f"four drains of {DRAIN} webhooks beside one that hangs, s",
        beside,
        plain,
        "without it",
        1.1,
        1,
    )


def commit_beside_hanging(part: Part, seconds: int, rounds: int) -> Iterator[Row]:
    setup = _beside_hanging(part, 2)

    def measure() -> dict[str, float]:
        # Creating what hangs is not measured, nor writing it to the disk.
        setup.workload.ask("analyze")
        return part.latency(setup.committer, 1 + seconds)

    def beside(group: int) -> dict[str, float]:
        return {"count": setup.hang(group, _HANGING[group][2]), **measure()}

    plain, *others, _ = in_turn(
        rounds, measure, partial(beside, 0), partial(beside, 1), setup.release
    )
    for measured, aim in zip(others, (1.05, None), strict=True):
        figure = f"commit to receipt beside {measured[-1]['count']:,} that hang"
        without = (measured, plain, "without")
        yield row(f"{figure}, p50, ms", *without, 1.3, aim, key="p50", scale=1e3)
        yield row(f"{figure}, p99, ms", *without, key="p99", scale=1e3)


def _beside_hanging(part: Part, groups: int) -> Setup:
    """Start a set-up whose responding webhooks have succeeded once."""
    setup = Setup(part, *(each[:2] for each in _HANGING[:groups]), paced=_HEALTHY)
    setup.workload.ask("analyze")
    part.latency(setup.committer, _HEALTHY // RATE)
    return setup


def memory(part: Part, rounds: int) -> Iterator[Row]:
    setup = _beside_hanging(part, 1)
    ours = partial(tree_memory, setup.worker.popen.pid)

    def bare() -> float:
        with part.round():
            broker = f"{part.redis.url.removesuffix('0')}2"
            command = (sys.executable, "-m", "celery", "-b", broker, "worker", "-l", "INFO")
            worker = part.run(f"bare-{free_port()}", environment(part.folder), *command)
            worker.wait_until(lambda: " ready." in worker.printed, "the bare worker is ready")
            return tree_memory(worker.popen.pid)

    idle, _, hanging, _, other = in_turn(
        rounds,
        ours,
        lambda: setup.hang(0, _HANGING[0][2]),
        ours,
        setup.release,
        bare,
    )
    beside = (other, "bare Celery worker")
    yield Row("memory (PSS) with 1,000 requests in flight, MiB", hanging, *beside, 1.5)
    yield Row("memory (PSS) of an idle worker, MiB", idle, *beside)


def workers(part: Part, each: int, rounds: int) -> Iterator[Row]:
    # Enough webhooks for both: half of a worker's slots is for those with nothing in flight.
    setup = Setup(part, ("slow", 400), SIM_CALLS="100")

    def both() -> dict[str, float]:
        with part.round():
            setup.start_worker()
            setup.drain(1)
            return setup.drain(each)

    one, two = in_turn(rounds, lambda: setup.drain(each), both)
    beside = (two, one, "one worker")
    yield row("deliveries per second of two workers", *beside, 1.8, 1.95, at_least=True, key="rate")
    yield row("CPU per delivery of two workers, ms", *beside, 1.15, 1.05, key="cpu", scale=1e3)


def setups(part: Part, each: int, rounds: int) -> Iterator[Row]:
    both = [Setup(part, uses_servers=uses_servers) for uses_servers in (False, True)]
    drains = in_turn(rounds, *(partial(setup.drain, each) for setup in both))
    beside = (*drains, "PostgreSQL and Redis")
    yield row("deliveries per second", *beside, 0.9, 1.2, at_least=True, key="rate")


def backlog(part: Part, each: int, rounds: int) -> Iterator[Row]:
    setup = Setup(part)
    bare, after = in_turn(rounds, lambda: setup.drain(each), lambda: _drain_after(setup, each))
    yield row(
        f"{DRAIN * each:,} deliveries after an outage of an hour, s",
        *(after, bare, "without an outage", 1.3, 1.1),
        key="seconds",
    )


def _drain_after(setup: Setup, each: int) -> dict[str, float]:
    """Return the drain from the first request after an outage until the last one arrives."""
    passed = wait = 0.0
    setup.part.handler.kill()
    setup.workload.ask("fill", each=each, groups=[0])
    while passed + wait < 3600:
        # Platform time passes for the sender only, so the retries fail one after another.
        setup.workload.ask("move_clock", seconds=wait)
        passed += wait
        wait = setup.worker.wait_until(
            lambda: setup.workload.ask("backoff"), "all webhooks back off"
        )
    setup.part.start_handler()
    setup.workload.ask("move_clock", seconds=wait)
    setup.finish(DRAIN * each)
    return dict(setup.part.handler.ask("span"))


def metrics(part: Part, each: int, rounds: int) -> Iterator[Row]:
    without, exporting = Setup(part), Setup(part, SIM_METRICS_PORT=str(free_port()))
    # The other one first in every second pair.
    first, second, third, fourth = in_turn(
        rounds, *(partial(setup.drain, each) for setup in (without, exporting, exporting, without))
    )
    beside = (second + third, first + fourth, "without metrics", 1.02)
    yield row("CPU per delivery with metrics, ms", *beside, key="cpu", scale=1e3)


def retention(part: Part, each: int, old: int, rounds: int) -> Iterator[Row]:
    setup = Setup(part)
    pruner = part.process("workload", **setup.variables)

    def beside_pruning() -> dict[str, float]:
        removed = 0
        with ThreadPoolExecutor(1) as thread:
            drain = thread.submit(setup.drain, each)
            while not drain.done():
                pruned, is_done = pruner.ask("prune")
                removed += pruned
        assert not is_done, "everything was pruned before the drain had ended"
        return {**drain.result(), "removed": removed / drain.result()["seconds"]}

    _, plain, beside = in_turn(
        rounds,
        lambda: setup.workload.ask("old", each=old),
        lambda: setup.drain(each),
        beside_pruning,
    )
    yield row(
        f"{DRAIN * each:,} deliveries beside pruning, s",
        *(beside, plain, "without it", 1.5),
        key="seconds",
    )
    yield row("deliveries pruned per second meanwhile", beside, key="removed")


def claims(part: Part, due: int, finished: int, rounds: int, count: int) -> Iterator[Row]:
    pair = []
    for many, old in ((due, finished), (1_000, 0)):
        # PostgreSQL may use parallel workers here.
        process = part.process("workload", **{**part.data(), "PGOPTIONS": ""})
        process.ask("fixtures", handler=part.handler_url, groups=[("drain", 100)], paced=0)
        if old:
            process.ask("old", each=old // 100)
        process.ask("fill", each=many // 100, groups=[0])
        process.ask("analyze")
        pair.append(process)
    claim = [partial(process.ask, "time_claim", count=CLAIM) for process in pair]
    in_turn(1, *claim)
    times = [map(median, in_turn(count, *claim)) for _ in range(rounds)]
    yield row(
        f"claim of {CLAIM} of {due:,} due, {finished:,} finished, ms",
        *(*zip(*times, strict=True), "of 1,000 due", 1.5, 1.2),
        scale=1e3,
    )
    plan = pair[0].ask("claim_plan", count=CLAIM)
    print(*plan, sep="\n")
    assert plan, "no statement of a claim was captured"
    scans = list(filter(SCAN.search, plan))
    yield Row("sequential scans of deliveries in a claim", [len(scans)], floor=0)


def fan_out(part: Part, *sizes: tuple[int, int]) -> Iterator[Row]:
    server = part.server() if part.uses_servers else {}

    def compare(counts: tuple[tuple[int, int], ...], rounds: int) -> dict[str, float]:
        # Other processes for each: two that do the same still differ by up to 3 %. Two of the first
        # kind: calls that follow one another in a process take 8 % less than those of two in turn.
        with part.round():
            creations = []
            for matching, other in (counts[0], *counts):
                variables = {**server, **part.data(), "PGOPTIONS": ""}
                process = part.process("workload", **variables)
                process.ask("prepare_fan_out", matching=matching, other=other)
                creations.append(partial(process.ask, "create"))
            return table.compare(rounds, lambda n: creations[n]())[0]

    # Of both kinds: how many webhooks match, and how many others exist.
    for (repeats, rounds), (figure, beside, counts, *limits) in zip(
        sizes,
        (
            ("that matches 1,000 webhooks", "that matches 1", ((1, 0), (1_000, 0)), 4, 3),
            (
                "beside 1,000 webhooks that do not match",
                "without webhooks",
                ((0, 0), (0, 1_000)),
                1.05,
                1.02,
            ),
        ),
        strict=True,
    ):
        compared = [compare(counts, rounds) for _ in range(repeats)]
        times = ([each[kind] for each in compared] for kind in ("other", "base"))
        yield row(f"request {figure}, CPU, ms", *times, beside, *limits, scale=1e3)
