"""B9: lists of 50 requests out of 100,000, beside a plain Django view and Django REST framework.

Also the measured process, which calls them through WSGI.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import starmap
from typing import Any

from benchmarks import calls
from benchmarks.part import Part
from benchmarks.table import Bound, Row, in_rounds

PRODUCT = "PRD-814-505-018"
LISTED = f"and(eq(status,pending),eq(asset.product.id,{PRODUCT}))&ordering(-created)"
PAGE = 50
# Of the demo data: a pending and an approved request of the listed product, an open one of another.
_PENDING, _APPROVED, _OTHER = (
    "PR-5810-2277-4101-001",
    "PR-5810-2277-4093-001",
    "PR-2934-6610-1192-001",
)
_CHUNK = 5000
_CUSTOMERS, _RESELLERS = 20_000, 200
_KEYS = {
    "vendor": "SU-100-000-001:a-vendor-s-secret-of-the-benchmark",
    "provider": "SU-100-000-002:a-distributor-s-secret-of-the-benchmark",
}
# All lists, with their usual filters.
_LISTS = {
    "/requests": ("", "status=pending", LISTED),
    "/assets": ("", "status=active", f"product.id={PRODUCT}"),
    "/subscriptions/assets": ("", f"product.id={PRODUCT}"),
    "/subscriptions/requests": ("", f"asset.product.id={PRODUCT}"),
    "/tier/account-requests": ("", f"status=pending&product.id={PRODUCT}"),
    "/tier/config-requests": ("", f"status=pending&configuration.product.id={PRODUCT}"),
    "/tier/configs": ("", f"product.id={PRODUCT}"),
    "/tier/accounts": ("", "external_id=1"),
    "/listing-requests": ("", f"state=reviewing&product.id={PRODUCT}"),
    "/usage/files": ("", f"status=ready&product.id={PRODUCT}"),
    "/usage/records": ("", "usagefile.id=UF-0000-00-0000-0000"),
    "/notifications/webhooks": ("", f"product.id={PRODUCT}"),
}


def measure(part: Part) -> Iterator[Row]:
    """Measure the lists of both parties on one database."""
    requests, deep, rounds, count = part.size((2_000, 20, 3, 5), (100_000, 1_000, 9, 10))
    process = part.process("lists", **part.data())
    process.ask("prepare", count=requests)
    for side in _KEYS:
        spent = process.ask("spend", side=side, deep=deep, rounds=rounds, count=count)
        # SQLite has no server.
        for n, what in enumerate(("CPU, ms", "CPU with the server's, ms")[: 1 + part.uses_servers]):
            plain, drf, first, last = (
                [times[n] for times in spent[name]] for name in ("plain", "drf", "first", "deep")
            )
            for page, measured, baseline, beside, floor in (
                (1, first, plain, "plain view", 3),
                (1, first, drf, "Django REST framework", 0.6),
                (deep, last, first, "page 1", 3),
            ):
                figure = f"{side}, page {page:,}, {what}"
                yield in_rounds(figure, measured, baseline, beside, Bound(floor), scale=1e3)
        ten, fifty, thousand = process.ask("statements", side=side)
        yield Row(f"{side}, SQL statements for 50", fifty, ten, "for 10", Bound(1))
        yield Row(f"{side}, SQL statements for 1,000", thousand, ten, "for 10", Bound(1))
        scanning = process.ask("without_index", side=side)
        yield Row(f"{side}, lists that scan a whole table", len(scanning), bound=Bound(0))
        for path in scanning:
            print(f"Scans a whole table: {path}")


def prepare(count: int) -> None:
    """Fill the database and store the API keys of both parties."""
    from django.conf import settings

    from requests_queue.catalog import keys
    from requests_queue.catalog.models import Account
    from requests_queue.seed.accounts import PROVIDER, VENDOR

    settings.ROOT_URLCONF = "benchmarks.list_views"
    fill(count)
    for pk, key in zip((VENDOR, PROVIDER), _KEYS.values(), strict=True):
        keys.store(Account.objects.get(pk=pk), key, "Benchmark")


def fill(count: int) -> None:
    """Create `count` requests beside the demo data in an empty database, each with its own asset.

    Of ten, six are pending and two approved, of the listed product; one is of another product, and
    one of another vendor's.
    """
    from django.db import transaction

    from requests_queue import seed
    from requests_queue.catalog.models import Asset, TierAccount
    from requests_queue.queues.fulfillment import creation
    from requests_queue.queues.fulfillment.models import Request
    from tests import make

    calls.migrate()
    seed.run(lambda line: None)
    catalog = make.catalog("7")
    foreign = creation.create(make.purchase(catalog), catalog.as_distributor)
    ids = (*[_PENDING] * 6, *[_APPROVED] * 2, _OTHER, foreign.pk)
    samples = [Request.objects.select_related("asset__connection").get(pk=pk) for pk in ids]
    start = seed.accounts.first_seed() - timedelta(days=300)
    TierAccount.objects.bulk_create(
        (
            TierAccount(
                id=_tier(kind, n),
                name=f"{kind.title()} {n} Ltd",
                type=kind,
                external_id=f"{n}",
                external_uid=_uid(kind, n),
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
    calls.analyze()


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
        external_uid=_uid("asset", n),
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


def _uid(kind: str, n: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {n}"))


def spend(side: str, deep: int, rounds: int, count: int) -> dict[str, list[tuple[float, float]]]:
    """Return the CPU seconds of one call of each list in each round: of this process, and
    including the database server's."""
    kinds = {
        "plain": partial(_peer, side, "plain"),
        "drf": partial(_peer, side, "drf"),
        "first": partial(_page, side, PAGE),
        "deep": partial(_page, side, PAGE, (deep - 1) * PAGE),
    }
    plain, drf, rows, _ = (json.loads(call()) for call in kinds.values())
    shown = [[row["id"] for row in each] for each in (rows, plain, drf["results"])]
    assert shown == [shown[0]] * 3 and len(rows) == PAGE, "A peer returns other rows than the API."
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for name, call in [*kinds.items()] * rounds:
        call()
        spent[name].append(calls.spend(call, count))
    return spent


def statements(side: str) -> list[int]:
    """Return the numbers of SQL statements of pages of 10, 50 and 1,000 rows."""
    pages = [partial(_page, side, n) for n in (10, PAGE, 1000)]
    # The first calls fill caches.
    return [[len(calls.statements(page)) for page in pages] for _ in range(2)][-1]


def without_index(side: str) -> list[str]:
    """Return the lists that scan a whole table, in their default order or with a usual filter."""
    from django.db import connection, transaction

    sent = {
        f"{path}?{query}": calls.statements(partial(_get, side, path, query))
        for path, queries in _LISTS.items()
        for query in queries
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Most tables here are so small that a sequential scan is the cheapest plan.
            cursor.execute("SET LOCAL enable_seqscan = off")
        return [name for name, each in sent.items() if any(starmap(_scans, each))]


def _scans(sql: str, params: Any) -> bool:
    """Return whether a statement that selects a page of ids or counts reads a whole table."""
    columns, _, rest = sql.partition(' FROM "')
    if "COUNT(" not in columns and " LIMIT " not in rest:
        return False
    table = rest.partition('"')[0]
    scan = re.compile(rf"\bSCAN {table}\b(?!.*INDEX)|Seq Scan on {table}\b")
    return any(scan.search(line) for line in calls.explain(sql, params))


def _page(side: str, limit: int, offset: int = 0) -> bytes:
    return _get(side, "/requests", f"{LISTED}&limit={limit}&offset={offset}")


def _peer(side: str, name: str) -> bytes:
    return _get(side, f"/{name}", f"status=pending&product={PRODUCT}&limit={PAGE}&offset=0")


def _get(side: str, path: str, query: str) -> bytes:
    from connect_sim.wsgi import application

    return calls.call(application, "GET", f"/public/v1{path}", _KEYS[side], query)
