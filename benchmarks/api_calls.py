"""CPU of API calls with and without the recorder, through WSGI in one process."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import django

from benchmarks.lists.fixtures import LISTED, PRODUCT, fill
from benchmarks.processes import Process, serve
from benchmarks.table import Bound, Row

RECORDED = Bound(1.03)
PAGE = 50
_KEY = "SU-100-000-001:a-vendor-s-secret-of-the-benchmark"
_RECORDER = "sandbox.api_calls.record_api_calls"
_ATTEMPTS = 200  # recent attempts of the vendor's webhook, which calls may be linked to


@dataclass(frozen=True, slots=True)
class Calls:
    """Sizes of a run: requests in the database, rounds, and calls of each kind in a round."""

    requests: int
    rounds: int
    calls: int


def measure_api_calls(part: str, process: Process, sizes: Calls) -> list[Row]:
    """Fill the database, measure, and return the rows."""
    process.ask("prepare", count=sizes.requests)
    rows = []
    for kind, name in (("list", f"list of {PAGE} requests"), ("approve", "approve")):
        without, recorded = process.ask(
            "measure", kind=kind, rounds=sizes.rounds, calls=sizes.calls
        )
        rows.append(
            Row(part, f"{name}, CPU, ms", recorded * 1e3, without * 1e3, "unrecorded", RECORDED)
        )
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
    vendor, now = Account.objects.get(pk=VENDOR), clock.now()
    keys.store(vendor, _KEY, "Benchmark")
    hook = Webhook.objects.create(
        id="WH-100-000-001", object_class="fulfillment_request", label="Benchmark", account=vendor,
        external_url="http://127.0.0.1:9/", jwt_secret="-", created_at=now,
        product=Product.objects.get(pk=PRODUCT),
    )  # fmt: skip
    for pk in Request.objects.filter(product=PRODUCT).values_list("pk", flat=True)[:_ATTEMPTS]:
        row = Delivery.objects.create(webhook=hook, state="delivered", created_at=now, attempts=1)
        Event.objects.create(webhook=hook, delivery=row, object_id=pk, status_to="pending", at=now)
        hook.last_success = Attempt.objects.create(
            webhook=hook, delivery=row, number=1, outcome="success", started_at=now,
            finished_at=now, duration=1, method="POST", url=hook.external_url,
        )  # fmt: skip
    hook.save()


def measure(kind: str, rounds: int, calls: int) -> list[float]:
    """Return the CPU seconds of one call without and with the recorder: medians of the rounds.

    With the recorder it includes the thread that stores the calls, and the last flush.
    """
    from requests_queue.queues.fulfillment.models import Request
    from sandbox import api_calls

    pending = Request.objects.filter(product=PRODUCT, status="pending").order_by("pk")
    ids = iter(list(pending.values_list("pk", flat=True)))
    kinds: dict[str, Callable[[Any], None]] = {
        "list": lambda app: _call(app, "GET", "/requests", f"{LISTED}&limit={PAGE}"),
        "approve": lambda app: _call(app, "POST", f"/requests/{next(ids)}/approve", body=b"{}"),
    }
    run = kinds[kind]
    applications = (_application(without=[_RECORDER]), _application(without=[]))
    spent: list[list[float]] = [[], []]
    with _storing():
        for turn in range(rounds + 1):
            for n, application in enumerate(applications):
                start = time.process_time()
                for _ in range(calls):
                    run(application)
                api_calls.flush()
                # The first round warms up.
                if turn:
                    spent[n].append((time.process_time() - start) / calls)
    return [median(each) for each in spent]


def _application(without: list[str]) -> Any:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    every = settings.MIDDLEWARE
    settings.MIDDLEWARE = [each for each in every if each not in without]
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = every


class _storing:
    """The thread of the web server's process that stores recorded calls."""

    def __enter__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        from sandbox import api_calls

        async def store() -> None:
            async with api_calls.lifespan():
                await self._stop.wait()

        self._loop.run_until_complete(store())

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


def _call(application: Any, method: str, path: str, query: str = "", body: bytes = b"") -> None:
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": f"/public/v1{path}", "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000", "HTTP_AUTHORIZATION": f"ApiKey {_KEY}",
        "HTTP_USER_AGENT": "benchmark", "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
    }  # fmt: skip
    status: list[str] = []
    response = application(environ, lambda text, headers, error=None: status.append(text))
    content = b"".join(response)
    response.close()
    if status != ["200 OK"]:
        raise RuntimeError(f"{method} {path}: {status} {content[:300]!r}")


def main() -> None:
    """Serve commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    serve({"prepare": prepare, "measure": measure})


if __name__ == "__main__":
    main()
