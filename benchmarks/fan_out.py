"""B8: the CPU time of creating a request, by how many webhooks exist and how many it matches.

Run as a module it is the measured process; `measure_fan_out` asks several of them in turn.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
    """Rounds of each comparison, and calls of each kind in a round."""

    rounds: int
    matching: int
    registered_rounds: int
    registered: int


QUICK = Sizes(rounds=1, matching=6, registered_rounds=1, registered=12)
FULL = Sizes(rounds=3, matching=18, registered_rounds=5, registered=54)


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
    with _processes(part, folder, used, one=(1, 0), many=(_MANY, 0)) as processes:
        matching = [_round(*processes, sizes.matching) for _ in range(sizes.rounds)]
    registered = []
    for n in range(sizes.registered_rounds):
        # Other processes in each round: two that do the same still differ by up to 3 %.
        with _processes(f"{part}_{n}", folder, used, none=(0, 0), other=(0, _MANY)) as processes:
            registered.append(_round(*processes, sizes.registered))
    return [
        _row(
            part,
            f"request that matches {_MANY:,} webhooks, CPU, ms",
            matching,
            "that matches 1",
            _MATCHING,
            _MATCHING_AIM,
        ),
        _row(
            part,
            f"request beside {_MANY:,} webhooks that do not match, CPU, ms",
            registered,
            "without webhooks",
            _REGISTERED,
            _REGISTERED_AIM,
        ),
    ]


def _row(
    part: str,
    figure: str,
    rounds: Sequence[paired.Comparison],
    beside: str,
    floor: Bound,
    aim: Bound,
) -> Row:
    return in_rounds(
        part,
        figure,
        [each.base + each.difference for each in rounds],
        [each.base for each in rounds],
        beside,
        floor,
        aim,
        scale=1e3,
    )


@contextmanager
def _processes(
    part: str, folder: Path, used: tuple[str, str] | None, **counts: tuple[int, int]
) -> Iterator[list[Process]]:
    """Start two processes to measure, by name how many webhooks match and how many others exist."""
    with ExitStack() as stack:
        processes = []
        for name, (matching, other) in counts.items():
            data = folder / f"{part}_{name}"
            env = environment(SIM_DATA_DIR=str(data))
            if used is not None:
                url = stack.enter_context(servers.database(used[0], f"{part}_{name}".lower()))
                env = server_environment(data, url, used[1])
            log = folder / f"{part}_{name}.log"
            process = stack.enter_context(running(module("fan_out"), env, log))
            process.ask("prepare", matching=matching, other=other)
            processes.append(process)
        yield processes


def _round(base: Process, other: Process, calls: int) -> paired.Comparison:
    kinds = [base, base, other]
    spent: list[list[float]] = [[], [], []]
    for order in paired.rounds(calls):
        for n in order:
            spent[n].append(kinds[n].ask("create"))
    return paired.compare(*spent)


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
            id=f"WH-000-{n // 1000:03d}-{n % 1000:03d}",
            label=f"Hook {n}",
            product=of.product,
            account=of.vendor,
            object_class=object_class,
            external_url="http://127.0.0.1:9/",
            jwt_secret=f"JWT-secret-of-thirty-two-bytes-or-more-{n}",
            created_at=make.AT,
        )

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

    # All of them on one core: between two, those that do the same differ by up to 11 %.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    from django.conf import settings

    # The server process of the connection must last as long as this process.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    serve({"prepare": prepare, "create": create})


if __name__ == "__main__":
    main()
