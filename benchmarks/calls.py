"""In a measured process: calls of Django's WSGI application, their CPU time and SQL statements.

B9: lists of requests. `api_calls`: the same, recorded. `web`: a small request.
"""

import gc
import io
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext, override_settings

from benchmarks.table import compare
from requests_queue import clock, seed
from requests_queue.catalog import keys
from requests_queue.catalog.models import Account, Asset, Parameter, Product, TierAccount
from requests_queue.queues.fulfillment.models import Request
from tests import make, orders
from webhooks.models import Attempt, Delivery, Event, Webhook

KEYS = {
    "vendor": "SU-100-000-001:a-vendor-s-secret-of-the-benchmark",
    "provider": "SU-100-000-002:a-distributor-s-secret-of-the-benchmark",
}
_LISTED = f"and(eq(status,pending),eq(asset.product.id,{orders.PLAIN}))&ordering(-created)"
_PAGE = 50
# Of the demo data: a pending and an approved request of the listed product, an open one of another.
_PENDING, _APPROVED, _OTHER = (
    "PR-5810-2277-4101-001",
    "PR-5810-2277-4093-001",
    "PR-2934-6610-1192-001",
)
_CHUNK = 5000
_CUSTOMERS, _RESELLERS = 20_000, 200
# All lists, with their usual filters.
_LISTS = {
    "/requests": ("", "status=pending", _LISTED),
    "/assets": ("", "status=active", f"product.id={orders.PLAIN}"),
    "/subscriptions/assets": ("", f"product.id={orders.PLAIN}"),
    "/subscriptions/requests": ("", f"asset.product.id={orders.PLAIN}"),
    "/tier/account-requests": ("", f"status=pending&product.id={orders.PLAIN}"),
    "/tier/config-requests": ("", f"status=pending&configuration.product.id={orders.PLAIN}"),
    "/tier/configs": ("", f"product.id={orders.PLAIN}"),
    "/tier/accounts": ("", "external_id=1"),
    "/listing-requests": ("", f"state=reviewing&product.id={orders.PLAIN}"),
    "/usage/files": ("", f"status=ready&product.id={orders.PLAIN}"),
    "/usage/records": ("", "usagefile.id=UF-0000-00-0000-0000"),
    "/notifications/webhooks": ("", f"product.id={orders.PLAIN}"),
}


def migrate() -> None:
    call_command("migrate", verbosity=0, interactive=False)


def analyze() -> None:
    """Do what autovacuum does when tables have grown, and write them to the disk before anything
    is measured."""
    is_postgresql = connection.vendor == "postgresql"
    commands = (
        ("VACUUM ANALYZE", "CHECKPOINT") if is_postgresql else ("PRAGMA wal_checkpoint(TRUNCATE)",)
    )
    with connection.cursor() as cursor:
        for sql in commands:
            cursor.execute(sql)


def call(
    method: str,
    path: str,
    key: str,
    query: str = "",
    body: bytes = b"",
    *,
    application: Any = None,
) -> bytes:
    """Return the body of a response; its status must be 200 or 201."""
    from connect_sim import wsgi

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_AUTHORIZATION": f"ApiKey {key}",
        "HTTP_USER_AGENT": "benchmark",
        "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    status: list[str] = []
    response = (application or wsgi.application)(
        environ, lambda text, headers, error=None: status.append(text)
    )
    content = b"".join(response)
    response.close()
    assert status[0][:3] in ("200", "201"), f"{method} {path}?{query}: {status} {content[:300]!r}"
    return content


def server_cpu() -> float:
    """Return the CPU seconds of the server process of this thread's connection; 0 on SQLite."""
    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    # In nanoseconds; `stat` has hundredths of a second.
    schedule = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    return int(schedule.split()[0]) / 1e9


def spend(run: Callable[[], object], count: int = 1) -> tuple[float, float]:
    """Return the CPU seconds of one of so many calls: of this thread, and with the server's."""
    # The server's is read outside, so that reading it is not measured.
    server, own = server_cpu(), time.thread_time()
    for _ in range(count):
        run()
    own = (time.thread_time() - own) / count
    return own, own + (server_cpu() - server) / count


def statements(run: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        run()
    return [each["sql"] for each in captured]


def explain(sql: str) -> list[str]:
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if is_postgresql else 'EXPLAIN QUERY PLAN'} {sql}")
        return [str(row[0] if is_postgresql else row[3]) for row in cursor.fetchall()]


def spend_directly(path: str, key: str, count: int) -> float:
    """Return the CPU seconds of a call, after a tenth of them as warm-up."""
    run = partial(call, "GET", path, key)
    spend(run, count // 10)
    return spend(run, count)[0]


def fill(count: int) -> None:
    """Create `count` requests beside the demo data in an empty database, each with its own asset,
    and store the API keys of both parties.

    Of ten, six are pending and two approved, of the listed product; one is of another product, and
    one of another vendor's.
    """
    migrate()
    seed.run(lambda line: None)
    for pk, key in zip((seed.accounts.VENDOR, seed.accounts.PROVIDER), KEYS.values(), strict=True):
        keys.store(Account.objects.get(pk=pk), key, "Benchmark")
    ids = (*[_PENDING] * 6, *[_APPROVED] * 2, _OTHER, make.order(make.catalog("7")).pk)
    samples = [Request.objects.select_related("asset__connection").get(pk=pk) for pk in ids]
    start = seed.accounts.first_seed() - timedelta(days=300)
    TierAccount.objects.bulk_create(
        (
            TierAccount(
                id=_tier(kind, n),
                name=f"{kind.title()} {n} Ltd",
                type=kind,
                external_id=f"{n}",
                external_uid=f"{kind} {n}",
                tax_id=f"DE{n:09d}",
                owner_id=samples[0].provider_id,
                hub_id=samples[0].asset.connection.hub_id,
                contact_info={**make.CONTACT, "address_line1": f"{n} Harbour Road"},
                created=start,
                updated=start,
            )
            for kind, count in (("reseller", _RESELLERS), ("customer", _CUSTOMERS))
            for n in range(count)
        ),
        batch_size=500,
    )
    for first in range(0, count, _CHUNK):
        numbers = range(first, min(first + _CHUNK, count))
        assets = [_asset(n, samples[n % 10], start) for n in numbers]
        requests = [
            _copy(
                samples[n % 10],
                id=f"PR-{asset.id[3:]}-001",
                status="approved" if asset.status == "active" else "pending",
                asset_id=asset.id,
                items=asset.items,
                params=asset.params,
                note="" if n % 4 else "Please set up before the inventory on Monday.",
                created=asset.created,
                updated=asset.updated,
            )
            for n, asset in zip(numbers, assets, strict=True)
        ]
        with transaction.atomic():
            Asset.objects.bulk_create(assets, batch_size=500)
            Request.objects.bulk_create(requests, batch_size=500)
    analyze()


def _copy(sample: Any, **changes: Any) -> Any:
    columns = {field.attname: getattr(sample, field.attname) for field in sample._meta.fields}
    return type(sample)(**{**columns, **changes})


def _asset(n: int, sample: Any, start: Any) -> Any:
    # Three requests share each creation time: the id is the tie-breaker of the order.
    created = start + timedelta(minutes=4 * (n // 3))
    return _copy(
        sample.asset,
        id=f"AS-{n // 10000 + 1000:04d}-{n % 10000:04d}-{n % 9973:04d}",
        status="active" if sample.status == "approved" else "processing",
        external_id=f"{500000 + n}",
        external_uid=f"asset {n}",
        customer_id=_tier("customer", n * 7919 % _CUSTOMERS),
        tier1_id=_tier("reseller", n * 31 % _RESELLERS),
        tier2_id=_tier("reseller", n * 17 % _RESELLERS) if n % 3 == 0 else None,
        items=[{**row, "quantity": str(n % 90 + 1)} for row in sample.items],
        params=[
            {
                **row,
                "value": f"{row['id']}-{n}.example.com",
                "constraints": {**row["constraints"], "unique": False},
            }
            for row in sample.params
        ],
        created=created,
        updated=created + timedelta(hours=2 * (sample.status == "approved")),
    )


def _tier(kind: str, n: int) -> str:
    return f"TA-{9000 if kind == 'reseller' else 1000 + n // 10000:04d}-{n % 10000:04d}-0000"


def spend_lists(
    side: str, deep: int, rounds: int, count: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU seconds of one call of each list in each round, as `spend`."""
    # Before the first call, which loads the URLs.
    settings.ROOT_URLCONF = "benchmarks.list_views"
    offset = (deep - 1) * _PAGE
    same = f"status=pending&product={orders.PLAIN}&limit={_PAGE}&offset=0"
    kinds = {
        "plain": partial(_get, side, "/plain", same),
        "drf": partial(_get, side, "/drf", same),
        "first": partial(_get, side, "/requests", f"{_LISTED}&limit={_PAGE}"),
        "deep": partial(_get, side, "/requests", f"{_LISTED}&limit={_PAGE}&offset={offset}"),
    }
    plain, drf, rows, _ = (json.loads(run()) for run in kinds.values())
    shown = [[row["id"] for row in each] for each in (rows, plain, drf["results"])]
    assert shown == [shown[0]] * 3 and len(rows) == _PAGE, "A peer returns other rows than the API."
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for name, run in [*kinds.items()] * rounds:
        run()
        spent[name].append(spend(run, count))
    return spent


def count_statements(side: str) -> list[int]:
    pages = [partial(_get, side, "/requests", f"{_LISTED}&limit={n}") for n in (10, _PAGE, 1000)]
    # The first calls fill caches.
    return [[len(statements(page)) for page in pages] for _ in range(2)][-1]


def lists_without_index(side: str) -> list[str]:
    """Return the lists that scan a whole table, in their default order or with a usual filter."""
    sent = {
        f"{path}?{query}": statements(partial(_get, side, path, query))
        for path, queries in _LISTS.items()
        for query in queries
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Most tables here are so small that a sequential scan is the cheapest plan.
            cursor.execute("SET LOCAL enable_seqscan = off")
        return [name for name, each in sent.items() if any(map(_scans, each))]


def _scans(sql: str) -> bool:
    """Return whether a statement that selects a page of ids or counts reads a whole table."""
    columns, _, rest = sql.partition(' FROM "')
    if "COUNT(" not in columns and " LIMIT " not in rest:
        return False
    name = rest.partition('"')[0]
    scan = re.compile(rf"\bSCAN {name}\b(?!.*INDEX)|Seq Scan on {name}\b")
    return any(map(scan.search, explain(sql)))


def _get(side: str, path: str, query: str) -> bytes:
    return call("GET", f"/public/v1{path}", KEYS[side], query)


def prepare_recorded(count: int) -> None:
    """Fill the database: requests, a webhook and its recent attempts.

    No parameter is unique, as those of the requests: to check that, an approve reads all requests
    of the product, and the recorder's share would seem smaller the more there are.
    """
    fill(count)
    Parameter.objects.filter(product=orders.PLAIN).update(constraints={})
    now = clock.now()
    hook = Webhook.objects.create(
        id="WH-100-000-001",
        object_class="fulfillment_request",
        label="Benchmark",
        account_id=seed.accounts.VENDOR,
        external_url="http://127.0.0.1:9/",
        jwt_secret="-",
        created_at=now,
        product=Product.objects.get(pk=orders.PLAIN),
    )
    # Recorded calls may be linked to them.
    ids = Request.objects.filter(product=orders.PLAIN).values_list("pk", flat=True)[:200]
    make_attempts([(hook, pk, "delivered", now) for pk in ids])
    analyze()


def make_attempts(rows: Iterable[tuple[Webhook, str, str, datetime]]) -> None:
    """Create a delivery with an event and an attempt for each webhook, object, state and time."""
    deliveries, events, attempts = [], [], []
    for n, (hook, pk, state, at) in enumerate(rows):
        deliveries.append(Delivery(webhook=hook, state=state, created_at=at, attempts=1))
        common = {"webhook": hook, "delivery": deliveries[-1]}
        events.append(Event(**common, status_to="pending", at=at, object_id=pk))
        attempts.append(
            Attempt(
                **common,
                number=1,
                method="POST",
                outcome="success" if state == "delivered" else "failure",
                started_at=at,
                finished_at=at,
                duration=12,
                url="http://127.0.0.1:9/",
                status_code=200 if state == "delivered" else 503,
                request_body='{"data": {}}' * 40,
                response_body=b'{"result": "code %d"}' % (n % 100),
            )
        )
    for model, made in ((Delivery, deliveries), (Event, events), (Attempt, attempts)):
        model.objects.bulk_create(made, batch_size=500)


def compare_recorded(kind: str, rounds: int) -> dict[str, Any]:
    """Compare calls with and without the recorder, and store the recorded ones in batches.

    Return the comparisons of the CPU time of the request's thread, without and with that of the
    database server, and the CPU seconds that storing a call takes, both ways.
    """
    from sandbox.timeline import api_calls  # a server does not have it

    pending = Request.objects.filter(product=orders.PLAIN, status="pending").order_by("pk")
    ids = iter(list(pending.values_list("pk", flat=True)))
    recorder = "sandbox.timeline.api_calls.record_api_calls"
    with override_settings(MIDDLEWARE=[each for each in settings.MIDDLEWARE if each != recorder]):
        applications = [WSGIHandler(), WSGIHandler()]
    applications.append(WSGIHandler())

    def run(n: int) -> None:
        sent = ("GET", "/public/v1/requests", KEYS["vendor"], f"{_LISTED}&limit={_PAGE}", b"")
        if kind == "approve":
            sent = ("POST", f"/public/v1/requests/{next(ids)}/approve", KEYS["vendor"], "", b"{}")
        call(*sent, application=applications[n])

    def measure(n: int) -> tuple[float, float]:
        spent = spend(partial(run, n))
        if n == 2 and next(recorded) % batch == 0:
            store()
        return spent

    def store() -> None:
        stores.append(storing.submit(spend, api_calls.flush).result())
        gc.collect()

    # How many calls the web server's thread stores at once, if one follows another. By their CPU
    # time: on a busy machine they take longer, but their number must not depend on it.
    seconds = [spend(partial(run, 0))[1] for _ in range(40)]
    batch = 1 + int(api_calls.PERIOD / median(seconds[20:]))  # the first ones fill caches
    stores: list[tuple[float, float]] = []
    recorded = itertools.count(1)
    # Garbage is collected after storing only, so that it is attributed to no call.
    gc.disable()
    # The storing thread has a connection of its own, as in the web server.
    with ThreadPoolExecutor(1) as storing:
        storing.submit(spend, api_calls.flush).result()
        compared = compare(rounds, measure)
        store()
        # Looked up in that thread: `connection.close` would be this one's.
        storing.submit(lambda: connection.close()).result()
    return {"calls": compared, "stores": [sum(way) / rounds for way in zip(*stores, strict=True)]}
