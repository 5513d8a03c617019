"""The benchmarks by name, and groups of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import (
    api_calls,
    backlog,
    claims,
    cli,
    clock,
    cpu,
    examples,
    fan_out,
    isolation,
    latency,
    live,
    log_pages,
    memory,
    metrics_cost,
    reset,
    retention,
    scaling,
    waiting,
)
from benchmarks.lists import report as lists
from benchmarks.run import Run
from benchmarks.table import Row
from benchmarks.web import report as web


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A name of the command line, what is measured, and the function that measures it."""

    name: str
    title: str
    measure: Callable[[Run], list[Row]]


_ALL = (
    Benchmark("B1", "CPU of a delivery, beside a post by requests", cpu.measure_posts),
    Benchmark("B2", "CPU of a delivery, beside django-webhook", cpu.measure_django_webhook),
    Benchmark("B3", "SQL statements per delivery", cpu.measure_statements),
    Benchmark("B4", "commit to receipt, beside django-webhook", latency.measure_latency),
    Benchmark("B5", "a drain beside a webhook that hangs", isolation.measure_drain),
    Benchmark("B6", "commit to receipt beside requests that hang", isolation.measure_hanging),
    Benchmark("B7", "a claim out of many deliveries", claims.measure_claims),
    Benchmark("B8", "a request that matches many webhooks", fan_out.measure_fan_out),
    Benchmark("B9", "lists of requests, beside a plain Django view", lists.measure_lists),
    Benchmark("B10", "memory, beside a bare Celery worker", memory.measure_memory),
    Benchmark("B11", "two workers beside one", scaling.measure_workers),
    Benchmark("B12", "embedded beside PostgreSQL and Redis", scaling.measure_setups),
    Benchmark("B13", "a backlog after an outage", backlog.measure_backlog),
    Benchmark("metrics", "deliveries with metrics", metrics_cost.measure_metrics),
    Benchmark("retention", "a drain beside pruning", retention.measure_retention),
    Benchmark("log", "pages of the deliveries log", log_pages.measure_log),
    Benchmark("api_calls", "recorded API calls", api_calls.measure_api_calls),
    Benchmark("web", "the web server", web.measure_web),
    Benchmark("cli", "the command line", cli.measure_cli),
    Benchmark("clock", "moves of the sandbox's clock", clock.measure_clock),
    Benchmark("waiting", "waits of the sandbox", waiting.measure_waiting),
    Benchmark("live", "open pages of the portal", live.measure_live),
    Benchmark("examples", "orders approved by the examples", examples.measure_examples),
    Benchmark("reset", "resets of the sandbox", reset.measure_reset),
)
BENCHMARKS = {each.name: each for each in _ALL}
GROUPS = {
    "deliveries": (
        "B1",
        "B2",
        "B3",
        "B4",
        "B5",
        "B6",
        "B10",
        "B11",
        "B12",
        "B13",
        "metrics",
        "retention",
    ),
    "database": ("B7", "B8", "B9"),
    "sandbox": ("log", "api_calls", "web", "cli", "clock", "waiting", "live", "examples", "reset"),
}


def choose(names: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks of names and groups, in their order; all without any.

    Raises ValueError with the unknown names.
    """
    if unknown := set(names) - BENCHMARKS.keys() - GROUPS.keys():
        raise ValueError(", ".join(sorted(unknown)))
    chosen = {one for name in names for one in GROUPS.get(name, (name,))}
    return [each for each in _ALL if not names or each.name in chosen]
