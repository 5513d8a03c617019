"""The process that is measured: lists of the API and of the plain view, through one WSGI door."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import django

from benchmarks.lists.filling import LISTED, PRODUCT, fill
from benchmarks.pipes import serve

PAGE, DEEP = 50, 1000
_KEYS = {
    "vendor": "SU-100-000-001:a-vendor-s-secret-of-the-benchmark",
    "provider": "SU-100-000-002:a-distributor-s-secret-of-the-benchmark",
}
# The other lists, with what they are mostly filtered by.
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
    """Fill the database, and make the keys of both parties valid."""
    from requests_queue.catalog import keys
    from requests_queue.catalog.models import Account
    from requests_queue.seed.accounts import PROVIDER, VENDOR

    fill(count)
    for pk, key in zip((VENDOR, PROVIDER), _KEYS.values(), strict=True):
        keys.store(Account.objects.get(pk=pk), key, "Benchmark")


def measure(side: str, deep: int, rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the seconds of processor time of one call of each list: this process's, and with
    the server's; medians of the rounds."""
    offset = (deep - 1) * PAGE
    kinds: dict[str, Callable[[], bytes]] = {
        "plain": lambda: _plain(side),
        "first": lambda: _page(side, PAGE, 0),
        "deep": lambda: _page(side, PAGE, offset),
    }
    _same_rows(side)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for name, call in [*kinds.items()] * rounds:
        call()
        start = _cpu()
        for _ in range(calls):
            call()
        own, both = ((end - begin) / calls for begin, end in zip(start, _cpu(), strict=True))
        spent[name].append((own, both))
    return {
        name: [median(each) for each in zip(*found, strict=True)] for name, found in spent.items()
    }


def statements(side: str) -> list[int]:
    """Return how many SQL statements pages of 10, 50 and 1,000 take, in this order."""
    return [len(_sql(partial(_page, side, n, 0))) for n in (10, PAGE, 1000)]


def plans(side: str) -> list[str]:
    """Return how the database finds a page and counts, as it says itself."""
    found = []
    for sql, values in _sql(lambda: _page(side, PAGE, 0)):
        if _own(sql, "fulfillment_request"):
            found.append(sql.partition(" FROM ")[0])
            found += [f"    {line}" for line in _explain(sql, values)]
    return found


def without_index(side: str) -> list[str]:
    """Return the lists that read a whole table, in their own order or by a usual filter."""
    lists = {"/requests": ("", "status=pending", LISTED), **_OTHERS}
    found = []
    for path, query in [(path, query) for path, queries in lists.items() for query in queries]:
        sent = _sql(partial(_get, side, path, query))
        if not all(_uses_index(*each) for each in sent):
            found.append(f"{path}?{query}")
    return found


def _page(side: str, limit: int, offset: int) -> bytes:
    return _get(side, "/requests", f"{LISTED}&limit={limit}&offset={offset}")


def _plain(side: str) -> bytes:
    return _get(side, "/plain", f"status=pending&product={PRODUCT}&limit={PAGE}&offset=0")


def _get(side: str, path: str, query: str) -> bytes:
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": f"/public/v1{path}", "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000", "HTTP_AUTHORIZATION": f"ApiKey {_KEYS[side]}",
        "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
    }  # fmt: skip
    status: list[str] = []
    answer = _application()(environ, lambda said, headers, error=None: status.append(said))
    body = b"".join(answer)
    answer.close()
    if status != ["200 OK"]:
        raise RuntimeError(f"{path}?{query}: {status} {body[:300]!r}")
    return body


def _application() -> Any:
    from connect_sim.wsgi import application

    return application


def _same_rows(side: str) -> None:
    import json

    ours, theirs = json.loads(_page(side, PAGE, 0)), json.loads(_plain(side))
    if [row["id"] for row in ours] != [row["id"] for row in theirs] or len(ours) != PAGE:
        raise RuntimeError("The plain view has other rows.")


def _cpu() -> tuple[float, float]:
    """Return the processor time of this process, and with the server's for this connection."""
    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql":
        return own, own
    connection.ensure_connection()
    return own, own + _cpu_of(connection.connection.info.backend_pid)


def _cpu_of(pid: int) -> float:
    # In nanoseconds, where `stat` counts hundredths of a second.
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        sys.exit("The PostgreSQL of the benchmark must run on this machine, to see its time.")


def _sql(call: Callable[[], Any]) -> list[tuple[str, Any]]:
    from django.db import connection

    seen: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        call()
    return seen


def _own(sql: str, table: str) -> bool:
    """Whether a statement finds a page or counts, rather than reading what is shown."""
    shown, _, rest = sql.partition(f' FROM "{table}"')
    return bool(rest) and ("COUNT(" in shown or " LIMIT " in rest)


def _explain(sql: str, values: Any) -> list[str]:
    from django.db import connection

    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if postgresql else 'EXPLAIN QUERY PLAN'} {sql}", values)
        return [str(row[0] if postgresql else row[3]) for row in cursor.fetchall()]


def _uses_index(sql: str, values: Any) -> bool:
    from django.db import connection

    found = re.search(r' FROM "(\w+)"', sql)
    if found is None or not _own(sql, found[1]):
        return True
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Most tables here are so small that reading them whole is cheapest.
            cursor.execute("SET enable_seqscan = off")
    lines = _explain(sql, values)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
            return not any(f"Seq Scan on {found[1]}" in line for line in lines)
    return not any(re.match(rf"SCAN {found[1]}(?!.*INDEX)", line) for line in lines)


def main() -> None:
    """Answer commands."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    django.setup()
    from django.conf import settings

    settings.ROOT_URLCONF = "benchmarks.lists.plain"
    served = (prepare, measure, statements, plans, without_index)
    serve({command.__name__: command for command in served})


if __name__ == "__main__":
    main()
