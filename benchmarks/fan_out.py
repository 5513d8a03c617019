"""B8: the CPU time of creating a request, by how many webhooks exist and how many it matches.

Also the measured process, of which `measure` asks several in turn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial

from benchmarks import calls, paired
from benchmarks.part import Part
from benchmarks.processes import Process
from benchmarks.setups import server_variables
from benchmarks.table import Bound, Row, in_rounds

_MANY = 1_000
_KEY = "SU-100-000-002:a-distributor-s-secret-of-the-benchmark"
_body: list[bytes] = []


def measure(part: Part) -> Iterator[Row]:
    """Measure a sandbox on SQLite, or a server that uses PostgreSQL and Redis."""

    def process(matching: int, other: int) -> Process:
        variables = server_variables(part) if part.uses_servers else {}
        started = part.process("fan_out", **variables)
        started.ask("prepare", matching=matching, other=other)
        return started

    # Each: how many webhooks match, and how many others exist.
    for figure, one, many, beside, bounds, (rounds, count) in (
        (
            f"request that matches {_MANY:,} webhooks, CPU, ms",
            (1, 0),
            (_MANY, 0),
            "that matches 1",
            (Bound(4), Bound(3)),
            part.size((1, 6), (3, 18)),
        ),
        (
            f"request beside {_MANY:,} webhooks that do not match, CPU, ms",
            (0, 0),
            (0, _MANY),
            "without webhooks",
            (Bound(1.05), Bound(1.02)),
            part.size((1, 12), (5, 54)),
        ),
    ):
        # Other processes in each round: two that do the same still differ by up to 3 %.
        compared = [_compare(process(*one), process(*many), count) for _ in range(rounds)]
        yield in_rounds(
            figure,
            [each["other"] for each in compared],
            [each["base"] for each in compared],
            beside,
            *bounds,
            scale=1e3,
        )


def _compare(base: Process, other: Process, count: int) -> dict[str, float]:
    kinds = [base, base, other]
    spent: list[list[float]] = [[], [], []]
    for order in paired.rounds(count):
        for n in order:
            spent[n].append(kinds[n].ask("create"))
    return paired.compare(*spent)


def prepare(matching: int, other: int) -> None:
    """Fill the database: webhooks that match the requests, and others of the same product or of
    the same object class."""
    from django.db import transaction

    from requests_queue.catalog import keys
    from tests import make

    # All of them on one core: between two, those that do the same differ by up to 11 %.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    calls.migrate()
    catalog, foreign = make.catalog("1"), make.catalog("2")
    with transaction.atomic():
        for n in range(matching):
            make.webhook(catalog, n=n)
        for n in range(matching, matching + other):
            kind = "tier_config_request" if n % 2 else "fulfillment_request"
            make.webhook(catalog if n % 2 else foreign, n=n, object_class=kind)
    keys.store(catalog.provider, _KEY, "Benchmark")
    _body.append(json.dumps(make.purchase(catalog)).encode())
    calls.analyze()
    calls.spend(create, 10)  # warm-up


def create() -> float:
    """Create a request by the API; return its CPU seconds, with those of the database server."""
    from connect_sim.wsgi import application

    path = "/public/v1/requests"
    return calls.spend(partial(calls.call, application, "POST", path, _KEY, body=_body[0]))[1]
