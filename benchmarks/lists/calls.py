"""The measured process: calls lists of the API and the plain view through WSGI."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import django

from benchmarks import wsgi
from benchmarks.lists.fixtures import LISTED, PRODUCT, fill
from benchmarks.processes import serve, server_cpu

PAGE, DEEP = 50, 1000
_KEYS = {
    "vendor": "SU-100-000-001:a-vendor-s-secret-of-the-benchmark",
    "provider": "SU-100-000-002:a-distributor-s-secret-of-the-benchmark",
}
# The other lists, with their usual filters.
_OTHERS = {
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


def prepare(count: int) -> None:
    """Fill the database and store the API keys of both parties."""
    from requests_queue.catalog import keys
    from requests_queue.catalog.models import Account
    from requests_queue.seed.accounts import PROVIDER, VENDOR

    fill(count)
    for pk, key in zip((VENDOR, PROVIDER), _KEYS.values(), strict=True):
        keys.store(Account.objects.get(pk=pk), key, "Benchmark")


def measure(side: str, deep: int, rounds: int, calls: int) -> dict[str, list[list[float]]]:
    """Return the CPU seconds of one call of each list in each round: of this process, and
    including the database server's."""
    offset = (deep - 1) * PAGE
    kinds: dict[str, Callable[[], bytes]] = {
        "plain": lambda: _peer(side, "plain"),
        "drf": lambda: _peer(side, "drf"),
        "first": lambda: _page(side, PAGE, 0),
        "deep": lambda: _page(side, PAGE, offset),
    }
    _same_rows(side)
    spent: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for name, call in [*kinds.items()] * rounds:
        call()
        start = _cpu()
        for _ in range(calls):
            call()
        spent[name].append(
            [(end - begin) / calls for begin, end in zip(start, _cpu(), strict=True)]
        )
    return spent


def statements(side: str) -> list[int]:
    """Return the numbers of SQL statements of pages of 10, 50 and 1,000 rows."""
    pages = [partial(_page, side, n, 0) for n in (10, PAGE, 1000)]
    for page in pages:
        page()
    return [len(_sql(page)) for page in pages]


def plans(side: str) -> list[str]:
    """Return the query plans of the page and the count."""
    lines = []
    for sql, values in _sql(lambda: _page(side, PAGE, 0)):
        if _selects_page(sql, "fulfillment_request"):
            lines.append(sql.partition(" FROM ")[0])
            lines += [f"    {line}" for line in _explain(sql, values)]
    return lines


def without_index(side: str) -> list[str]:
    """Return the lists that scan a whole table, in their default order or with a usual filter."""
    lists = {"/requests": ("", "status=pending", LISTED), **_OTHERS}
    scanning = []
    for path, query in [(path, query) for path, queries in lists.items() for query in queries]:
        sent = _sql(partial(_get, side, path, query))
        if not all(_uses_index(*each) for each in sent):
            scanning.append(f"{path}?{query}")
    return scanning


def _page(side: str, limit: int, offset: int) -> bytes:
    return _get(side, "/requests", f"{LISTED}&limit={limit}&offset={offset}")


def _peer(side: str, name: str) -> bytes:
    return _get(side, f"/{name}", f"status=pending&product={PRODUCT}&limit={PAGE}&offset=0")


def _get(side: str, path: str, query: str) -> bytes:
    return wsgi.call(_application(), "GET", f"/public/v1{path}", _KEYS[side], query)


def _application() -> Any:
    from connect_sim.wsgi import application

    return application


def _same_rows(side: str) -> None:
    import json

    rows, plain = json.loads(_page(side, PAGE, 0)), json.loads(_peer(side, "plain"))
    shown = [
        [row["id"] for row in each]
        for each in (rows, plain, json.loads(_peer(side, "drf"))["results"])
    ]
    if shown[0] != shown[1] or shown[0] != shown[2] or len(rows) != PAGE:
        raise RuntimeError("The plain view or the peer returns other rows than the API.")


def _cpu() -> tuple[float, float]:
    """Return the CPU time of this process, and its sum with that of the server process."""
    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql":
        return own, own
    connection.ensure_connection()
    return own, own + server_cpu(connection.connection.info.backend_pid)


def _sql(call: Callable[[], Any]) -> list[tuple[str, Any]]:
    from django.db import connection

    statements: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        call()
    return statements


def _selects_page(sql: str, table: str) -> bool:
    """Return whether a statement selects a page of ids or counts, rather than loads rows."""
    columns, _, rest = sql.partition(f' FROM "{table}"')
    return bool(rest) and ("COUNT(" in columns or " LIMIT " in rest)


def _explain(sql: str, values: Any) -> list[str]:
    from django.db import connection

    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if postgresql else 'EXPLAIN QUERY PLAN'} {sql}", values)
        return [str(row[0] if postgresql else row[3]) for row in cursor.fetchall()]


def _uses_index(sql: str, values: Any) -> bool:
    from django.db import connection

    match = re.search(r' FROM "(\w+)"', sql)
    if match is None or not _selects_page(sql, match[1]):
        return True
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Most tables here are so small that a sequential scan is the cheapest plan.
            cursor.execute("SET enable_seqscan = off")
    lines = _explain(sql, values)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
            return not any(f"Seq Scan on {match[1]}" in line for line in lines)
    return not any(re.match(rf"SCAN {match[1]}(?!.*INDEX)", line) for line in lines)


def main() -> None:
    """Serve commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    from django.conf import settings

    settings.ROOT_URLCONF = "benchmarks.lists.plain_view"
    # The server process of the connection must last as long as this process.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    commands = (prepare, measure, statements, plans, without_index)
    serve({command.__name__: command for command in commands})


if __name__ == "__main__":
    main()
