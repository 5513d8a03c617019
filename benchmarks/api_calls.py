"""CPU of API calls with and without the recorder, through WSGI in one process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

from benchmarks import calls, paired
from benchmarks.lists import LISTED, PAGE, PRODUCT, fill
from benchmarks.part import Part
from benchmarks.table import Bound, Row

_KEY = "SU-100-000-001:a-vendor-s-secret-of-the-benchmark"


def measure(part: Part) -> Iterator[Row]:
    """Measure calls in turn, two of three unrecorded."""
    requests, rounds = part.size((2_000, 120), (4_000, 600))
    broker = {"CELERY_BROKER_URL": part.redis.url} if part.uses_servers else {}
    process = part.process("api_calls", **part.data(), **broker)
    process.ask("prepare", count=requests)
    for kind, name in (("list", f"list of {PAGE} requests"), ("approve", "approve")):
        result = process.ask("compare", kind=kind, rounds=rounds)
        ways = ("CPU", "CPU with the server's")[: 1 + part.uses_servers]  # SQLite has none
        for way, compared, store in zip(ways, result["calls"], result["stores"], strict=False):
            yield Row(
                f"{name}, {way}, ms",
                (compared["other"] + store) * 1e3,
                compared["base"] * 1e3,
                "unrecorded",
                Bound(1.15),
            )
            yield Row(f"{name}, {way}, noise, %", abs(compared["noise"]) * 100, bound=Bound(1.0))


# The measured process.


def prepare(count: int) -> None:
    """Fill the database: requests, a key, a webhook and its recent attempts.

    No parameter is unique, as those of the requests: to check that, an approve reads all requests
    of the product, and the recorder's share would seem smaller the more there are.
    """
    from requests_queue import clock
    from requests_queue.catalog import keys
    from requests_queue.catalog.models import Account, Parameter, Product
    from requests_queue.queues.fulfillment.models import Request
    from requests_queue.seed.accounts import VENDOR
    from webhooks.models import Attempt, Delivery, Event, Webhook

    fill(count)
    Parameter.objects.filter(product=PRODUCT).update(constraints={})
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
    # Recorded calls may be linked to them.
    for pk in Request.objects.filter(product=PRODUCT).values_list("pk", flat=True)[:200]:
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
    calls.analyze()


def compare(kind: str, rounds: int) -> dict[str, Any]:
    """Compare calls with and without the recorder, and store the recorded ones in batches.

    Return the comparisons of the CPU time of the request's thread, without and with that of the
    database server, the CPU seconds that storing a call takes, both ways.
    """
    from django.db import connection

    from requests_queue.queues.fulfillment.models import Request
    from sandbox import api_calls

    pending = Request.objects.filter(product=PRODUCT, status="pending").order_by("pk")
    ids = iter(list(pending.values_list("pk", flat=True)))
    applications = [_application(is_recording=n == 2) for n in range(3)]

    def run(application: Any) -> None:
        method, path, query, body = "GET", "requests", f"{LISTED}&limit={PAGE}", b""
        if kind == "approve":
            method, path, query, body = "POST", f"requests/{next(ids)}/approve", "", b"{}"
        calls.call(application, method, f"/public/v1/{path}", _KEY, query, body)

    # How many calls the web server's thread stores at once, if one follows another. By their CPU
    # time: on a busy machine they take longer, but their number must not depend on it.
    seconds = [calls.spend(partial(run, applications[0]))[1] for _ in range(40)]
    batch = 1 + int(api_calls.PERIOD / median(seconds[20:]))  # the first ones fill caches
    spent: list[list[tuple[float, float]]] = [[], [], []]
    stores: list[tuple[float, float]] = []
    # Garbage is collected between the measured calls only, so that it is attributed to none.
    gc.collect()
    gc.freeze()
    gc.disable()
    # The storing thread has a connection of its own, as in the web server.
    with ThreadPoolExecutor(1) as storing:
        storing.submit(calls.spend, api_calls.flush).result()
        for order in paired.rounds(rounds):
            for n in order:
                spent[n].append(calls.spend(partial(run, applications[n])))
            if len(spent[2]) % batch == 0 or len(spent[2]) == rounds:
                stores.append(storing.submit(calls.spend, api_calls.flush).result())
                gc.collect()
        storing.submit(lambda: connection.close()).result()
    gc.enable()
    ways = [[[each[way] for each in times] for times in spent] for way in (0, 1)]
    return {
        "calls": [paired.compare(*times) for times in ways],
        "stores": [sum(each[way] for each in stores) / rounds for way in (0, 1)],
    }


def _application(*, is_recording: bool) -> Any:
    """Return the WSGI application, with or without the middleware that records."""
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    name = "sandbox.api_calls.record_api_calls"
    middleware = [each for each in settings.MIDDLEWARE if is_recording or each != name]
    with override_settings(MIDDLEWARE=middleware):
        return WSGIHandler()
