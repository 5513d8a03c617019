"""The benchmarks by name: what they measure, in which set-ups, and groups of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import (
    api_calls,
    claims,
    deliveries,
    fan_out,
    hanging,
    lists,
    live,
    log_pages,
    sandbox,
    web,
)
from benchmarks.part import Part
from benchmarks.table import Row

# The parts of a benchmark, and whether each uses PostgreSQL and Redis.
SETUPS = {"embedded": False, "distributed": True}
DATABASES = {"SQLite": False, "PostgreSQL": True}
EMBEDDED, DISTRIBUTED = {"embedded": False}, {"distributed": True}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A name of the command line, its group, what is measured, and the function that measures."""

    name: str
    group: str
    title: str
    measure: Callable[[Part], Iterable[Row]]
    parts: Mapping[str, bool]


_ALL = (
    Benchmark(
        "B1", "deliveries", "CPU of a delivery, beside a post by requests", deliveries.posts, SETUPS
    ),
    Benchmark(
        "B2",
        "deliveries",
        "CPU of a delivery, beside django-webhook",
        deliveries.django_webhook_cpu,
        DISTRIBUTED,
    ),
    Benchmark("B3", "deliveries", "SQL statements per delivery", deliveries.statements, SETUPS),
    Benchmark(
        "B4",
        "deliveries",
        "commit to receipt, beside django-webhook",
        deliveries.latency,
        SETUPS,
    ),
    Benchmark("B5", "deliveries", "a drain beside a webhook that hangs", hanging.drains, SETUPS),
    Benchmark(
        "B6", "deliveries", "commit to receipt beside requests that hang", hanging.latency, SETUPS
    ),
    Benchmark("B7", "database", "a claim out of many deliveries", claims.measure, DATABASES),
    Benchmark("B8", "database", "a request that matches many webhooks", fan_out.measure, DATABASES),
    Benchmark(
        "B9", "database", "lists of requests, beside a plain Django view", lists.measure, DATABASES
    ),
    Benchmark(
        "B10", "deliveries", "memory, beside a bare Celery worker", hanging.memory, DISTRIBUTED
    ),
    Benchmark("B11", "deliveries", "two workers beside one", deliveries.workers, DISTRIBUTED),
    Benchmark(
        "B12", "deliveries", "embedded beside PostgreSQL and Redis", deliveries.setups, EMBEDDED
    ),
    Benchmark("B13", "deliveries", "a backlog after an outage", deliveries.backlog, EMBEDDED),
    Benchmark("metrics", "deliveries", "deliveries with metrics", deliveries.metrics, EMBEDDED),
    Benchmark("retention", "deliveries", "a drain beside pruning", deliveries.retention, SETUPS),
    Benchmark(
        "log",
        "sandbox",
        "pages of the deliveries log",
        log_pages.measure,
        {"log, SQLite": False, "log, PostgreSQL": True},
    ),
    Benchmark(
        "api_calls",
        "sandbox",
        "recorded API calls",
        api_calls.measure,
        {"API calls, embedded": False, "API calls, distributed": True},
    ),
    Benchmark("web", "sandbox", "the web server", web.measure, {"web": False}),
    Benchmark("cli", "sandbox", "the command line", sandbox.cli, {"cli": False}),
    Benchmark("clock", "sandbox", "moves of the sandbox's clock", sandbox.clock, {"clock": False}),
    Benchmark("waiting", "sandbox", "waits of the sandbox", sandbox.waiting, {"waiting": False}),
    Benchmark("live", "sandbox", "open pages of the portal", live.measure, {"live": False}),
    Benchmark(
        "examples",
        "sandbox",
        "orders approved by the examples",
        sandbox.approvals,
        {"examples": False},
    ),
    Benchmark("reset", "sandbox", "resets of the sandbox", sandbox.resets, {"reset": False}),
)
BENCHMARKS = {each.name: each for each in _ALL}
GROUPS = tuple(dict.fromkeys(each.group for each in _ALL))


def choose(names: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks of names and groups, in their order; all without any.

    Raises ValueError with the unknown names.
    """
    if unknown := set(names) - BENCHMARKS.keys() - set(GROUPS):
        raise ValueError(", ".join(sorted(unknown)))
    return [each for each in _ALL if not names or {each.name, each.group} & set(names)]
