"""CPU of API calls with and without the recorder, through WSGI in one process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks import paired, servers, wsgi
from benchmarks.lists.fixtures import LISTED, PRODUCT, analyze, fill
from benchmarks.paired import Comparison
from benchmarks.processes import (
    Process,
    environment,
    module,
    running,
    serve,
    server_cpu,
)
from benchmarks.run import Run
from benchmarks.table import Bound, Row

RECORDED, NOISE = Bound(1.15), Bound(1.0)
PAGE = 50
_KEY = "SU-100-000-001:a-vendor-s-secret-of-the-benchmark"
_RECORDER = "sandbox.api_calls.record_api_calls"
_ATTEMPTS = 200  # recent attempts of the vendor's webhook, which calls may be linked to
_WARM_UP = 20  # calls

# CPU seconds: of a thread, and with those of its database connection's server process.
Cpu = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calls:
    """Sizes of a run: requests in the database, and rounds of three calls of each kind."""

    requests: int
    rounds: int


QUICK, FULL = Calls(requests=2_000, rounds=120), Calls(requests=4_000, rounds=600)


def measure_api_calls(run: Run) -> list[Row]:
    """Measure the embedded set-up, and the distributed one if its servers are installed."""
    rows = _measure_in(run, "embedded")
    with (
        run.optional("API calls in the distributed set-up"),
        servers.redis_and_database(run.folder, "calls") as (database, broker),
    ):
        rows += _measure_in(
            run, "distributed", DATABASE_URL=database, CELERY_BROKER_URL=f"{broker}/0"
        )
    return rows


def _measure_in(run: Run, name: str, **variables: str) -> list[Row]:
    env = environment(SIM_DATA_DIR=str(run.folder / f"api-calls-{name}"), **variables)
    with running(module("api_calls"), env, run.folder / f"api-calls-{name}.log") as process:
        return _rows(f"API calls, {name}", process, QUICK if run.quick else FULL)


def _rows(part: str, process: Process, sizes: Calls) -> list[Row]:
    """Fill the database, measure, print what the recorder takes, and return the rows."""
    process.ask("prepare", count=sizes.requests)
    rows = []
    for kind, name in (("list", f"list of {PAGE} requests"), ("approve", "approve")):
        result = process.ask("measure", kind=kind, rounds=sizes.rounds)
        ways = ["CPU", "CPU with the server's"]
        own, both = (Comparison(**each) for each in result["calls"])
        # SQLite has no server.
        for way, calls, store in zip(ways, (own, both), result["stores"], strict=True):
            if way == ways[1] and own == both:
                continue
            print(
                f"{part}, {name}, {way}: {calls.difference * 1e6:.0f} us in the thread of the "
                f"request, {store * 1e6:.0f} us to store it, {result['batch']} calls at once",
                flush=True,
            )
            recorded = calls.base + calls.difference + store
            rows += [
                Row(
                    part,
                    f"{name}, {way}, ms",
                    recorded * 1e3,
                    calls.base * 1e3,
                    "unrecorded",
                    RECORDED,
                ),
                Row(part, f"{name}, {way}, noise, %", abs(calls.noise) * 100, bound=NOISE),
            ]
    return rows


# The measured process.


def prepare(count: int) -> None:
    """Fill the database: requests, a key, a webhook and its recent attempts."""
    from requests_queue import clock
    from requests_queue.catalog import keys
    from requests_queue.catalog.models import Account, Product
    from requests_queue.queues.fulfillment.models import Request
    from requests_queue.seed.accounts import VENDOR
    from webhooks.models import Attempt, Delivery, Event, Webhook

    fill(count)
    _allow_repeated_values()
    vendor, now = Account.objects.get(pk=VENDOR), clock.now()
    keys.store(vendor, _KEY, "Benchmark")
    hook = Webhook.objects.create(
        id="WH-100-000-001",
        object_class="fulfillment_request",
        label="Benchmark",
        account=vendor,
        external_url="http://127.0.0.1:9/",
        jwt_secret="-",
        created_at=now,
        product=Product.objects.get(pk=PRODUCT),
    )
    for pk in Request.objects.filter(product=PRODUCT).values_list("pk", flat=True)[:_ATTEMPTS]:
        row = Delivery.objects.create(webhook=hook, state="delivered", created_at=now, attempts=1)
        Event.objects.create(webhook=hook, delivery=row, object_id=pk, status_to="pending", at=now)
        hook.last_success = Attempt.objects.create(
            webhook=hook,
            delivery=row,
            number=1,
            outcome="success",
            started_at=now,
            finished_at=now,
            duration=1,
            method="POST",
            url=hook.external_url,
        )
    hook.save()
    analyze()


def _allow_repeated_values() -> None:
    """Let no parameter of the requests be unique.

    To check that, an approve reads all requests of the product: the recorder's share would seem
    smaller the more there are.
    """
    from requests_queue.catalog.models import Asset, Parameter
    from requests_queue.queues.fulfillment.models import Request

    for parameter in Parameter.objects.filter(product=PRODUCT):
        parameter.constraints.pop("unique", None)
        parameter.save()
    for model in (Asset, Request):
        rows = list(model.objects.filter(product=PRODUCT))
        for value in [value for row in rows for value in row.params]:
            value["constraints"].pop("unique", None)
        model.objects.bulk_update(rows, ["params"], batch_size=200)


def measure(kind: str, rounds: int) -> dict[str, Any]:
    """Compare calls with and without the recorder, and store the recorded ones in batches.

    Return the comparisons of the CPU time of the request's thread, without and with that of the
    database server, the CPU seconds that storing a call takes, both ways, and the calls of a batch.
    """
    run = _kinds()[kind]
    without = [_RECORDER]
    applications = [_application(without), _application(without), _application([])]
    spent: list[list[Cpu]] = [[], [], []]
    stores: list[Cpu] = []
    batch = _batch(lambda: run(applications[0]))
    # The storing thread has a connection of its own, as in the web server.
    with ThreadPoolExecutor(1) as storing, _collecting():
        storing.submit(_store).result()
        for order in paired.rounds(rounds):
            for n in order:
                spent[n].append(_cpu_of(lambda app=applications[n]: run(app)))
            if len(spent[2]) % batch == 0 or len(spent[2]) == rounds:
                stores.append(storing.submit(_store).result())
                gc.collect()
        storing.submit(_close).result()
    return {
        "batch": batch,
        "calls": [
            asdict(paired.compare(*[[each[way] for each in times] for times in spent]))
            for way in (0, 1)
        ],
        "stores": [sum(each[way] for each in stores) / rounds for way in (0, 1)],
    }


def _kinds() -> dict[str, Callable[[Any], None]]:
    from requests_queue.queues.fulfillment.models import Request

    pending = Request.objects.filter(product=PRODUCT, status="pending").order_by("pk")
    ids = iter(list(pending.values_list("pk", flat=True)))
    return {
        "list": lambda app: _call(app, "GET", "/requests", f"{LISTED}&limit={PAGE}"),
        "approve": lambda app: _call(app, "POST", f"/requests/{next(ids)}/approve", body=b"{}"),
    }


def _batch(call: Callable[[], None]) -> int:
    """Return how many calls the web server's thread stores at once, if one follows another.

    By their CPU time: on a busy machine they take longer, but their number must not depend on it.
    """
    from sandbox import api_calls

    # The first ones fill the process's caches.
    seconds = [_cpu_of(call)[1] for _ in range(2 * _WARM_UP)]
    return 1 + int(api_calls.PERIOD / median(seconds[_WARM_UP:]))


def _store() -> Cpu:
    from sandbox import api_calls

    return _cpu_of(api_calls.flush)


def _close() -> None:
    from django.db import connection

    connection.close()


@contextmanager
def _collecting() -> Iterator[None]:
    """Collect garbage between the measured calls only, so that it is attributed to none."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _cpu_of(call: Callable[[], object]) -> Cpu:
    """Return the CPU seconds that a call takes in this thread, and with the database server's."""
    backend = _backend()
    served, start = server_cpu(backend) if backend else 0.0, time.thread_time()
    call()
    own = time.thread_time() - start
    return own, own + ((server_cpu(backend) - served) if backend else 0.0)


def _backend() -> int | None:
    """Return the server process of this thread's connection; None on SQLite."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return None
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def _application(without: list[str]) -> Any:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    every = settings.MIDDLEWARE
    settings.MIDDLEWARE = [each for each in every if each not in without]
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = every


def _call(application: Any, method: str, path: str, query: str = "", body: bytes = b"") -> None:
    wsgi.call(application, method, f"/public/v1{path}", _KEY, query, body)


def main() -> None:
    """Serve commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    import django

    django.setup()
    from django.conf import settings

    # The server process of a connection must last as long as its thread.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    serve({"prepare": prepare, "measure": measure})


if __name__ == "__main__":
    main()
