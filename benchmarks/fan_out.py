"""B8: the CPU time of creating a request, by how many webhooks exist and how many it matches.

Run as a module it is the measured process; `measure_fan_out` asks several of them in turn.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import paired, servers, wsgi
from benchmarks.processes import Process, environment, module, running, serve, server_cpu
from benchmarks.run import Run
from benchmarks.subjects import server_environment
from benchmarks.table import Bound, Row, in_rounds

_MATCHING, _MATCHING_AIM = Bound(4), Bound(3)
_REGISTERED, _REGISTERED_AIM = Bound(1.05), Bound(1.02)
_MANY = 1_000
_KEY = "SU-100-000-002:a-distributor-s-secret-of-the-benchmark"
_WARM_UP = 10  # calls


@dataclass(frozen=True, slots=True)
class Sizes:
    """Rounds, and calls of each kind in a round."""

    rounds: int
    matching: int
    registered: int


QUICK = Sizes(rounds=1, matching=6, registered=12)
FULL = Sizes(rounds=3, matching=18, registered=90)


def measure_fan_out(run: Run) -> list[Row]:
    """Measure on SQLite, and on PostgreSQL if there is one."""
    sizes = QUICK if run.quick else FULL
    with run.subfolder("fan-out") as folder:
        rows = _measure("SQLite", folder, None, sizes)
        with (
            run.optional("fan-out on PostgreSQL"),
            servers.redis_server(folder) as broker,
            servers.postgres_server() as server,
        ):
            rows += _measure("PostgreSQL", folder, (server, broker), sizes)
    return rows


def _measure(part: str, folder: Path, used: tuple[str, str] | None, sizes: Sizes) -> list[Row]:
    """Measure a sandbox on SQLite, or a server that uses PostgreSQL and Redis."""
    counts = {"none": (0, 0), "other": (0, _MANY), "one": (1, 0), "many": (_MANY, 0)}
    with ExitStack() as stack:
        processes = {}
        for name in counts:
            env = environment(SIM_DATA_DIR=str(folder / name))
            if used is not None:
                url = stack.enter_context(servers.database(used[0], name))
                env = server_environment(folder / f"server-{name}", url, used[1])
            log = folder / f"{part}-{name}.log"
            processes[name] = stack.enter_context(running(module("fan_out"), env, log))
        for name, (matching, other) in counts.items():
            processes[name].ask("prepare", matching=matching, other=other)
        matching_rounds = _rounds(processes, "one", "many", sizes.rounds, sizes.matching)
        registered_rounds = _rounds(processes, "none", "other", sizes.rounds, sizes.registered)
    return [
        _row(part, f"request that matches {_MANY:,} webhooks, CPU, ms", matching_rounds,
             "that matches 1", _MATCHING, _MATCHING_AIM),
        _row(part, f"request beside {_MANY:,} webhooks that do not match, CPU, ms",
             registered_rounds, "without webhooks", _REGISTERED, _REGISTERED_AIM),
    ]  # fmt: skip


def _row(
    part: str, figure: str, rounds: Sequence[paired.Comparison], beside: str, floor: Bound,
    aim: Bound,
) -> Row:  # fmt: skip
    return in_rounds(
        part, figure, [each.base + each.difference for each in rounds],
        [each.base for each in rounds], beside, floor, aim, scale=1e3,
    )  # fmt: skip


def _rounds(
    processes: dict[str, Process], base: str, other: str, rounds: int, calls: int
) -> list[paired.Comparison]:
    kinds = [processes[base], processes[base], processes[other]]
    comparisons = []
    for _ in range(rounds):
        spent: list[list[float]] = [[], [], []]
        for order in paired.rounds(calls):
            for n in order:
                spent[n].append(kinds[n].ask("create"))
        comparisons.append(paired.compare(*spent))
    return comparisons


# The measured process.

_body = [b""]


def prepare(matching: int, other: int) -> None:
    """Fill the database: webhooks that match the requests, and others of the same product or of
    the same object class."""
    from django.core.management import call_command
    from django.db import connection

    from requests_queue.catalog import keys
    from tests import make
    from webhooks.models import Webhook

    call_command("migrate", verbosity=0, interactive=False)
    catalog, foreign = make.catalog("1"), make.catalog("2")

    def hook(n: int, of: make.Catalog, object_class: str) -> Webhook:
        return Webhook(
            id=f"WH-000-{n // 1000:03d}-{n % 1000:03d}", label=f"Hook {n}", product=of.product,
            account=of.vendor, object_class=object_class, external_url="http://127.0.0.1:9/",
            jwt_secret=f"JWT-secret-of-thirty-two-bytes-or-more-{n}", created_at=make.AT,
        )  # fmt: skip

    requests = "fulfillment_request"
    hooks = [hook(n, catalog, requests) for n in range(matching)]
    for n in range(matching, matching + other):
        same = n % 2
        hooks.append(
            hook(n, catalog if same else foreign, "tier_config_request" if same else requests)
        )
    Webhook.objects.bulk_create(hooks, 500)
    keys.store(catalog.provider, _KEY, "Benchmark")
    _body[0] = json.dumps(make.purchase(catalog)).encode()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    for _ in range(_WARM_UP):
        create()


def create() -> float:
    """Create a request by the API; return its CPU seconds, with those of the database server."""
    from connect_sim.wsgi import application

    before = _cpu()
    wsgi.call(application, "POST", "/public/v1/requests", _KEY, body=_body[0])
    return _cpu() - before


def _cpu() -> float:
    from django.db import connection

    own = time.thread_time()
    if connection.vendor != "postgresql":
        return own
    connection.ensure_connection()
    raw: Any = connection.connection
    return own + server_cpu(raw.info.backend_pid)


def main() -> None:
    """Serve commands."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    from django.conf import settings

    # The server process of the connection must last as long as this process.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    serve({"prepare": prepare, "create": create})


if __name__ == "__main__":
    main()
