"""Open pages of the portal: beside five deliveries per second, and beside 500.

Also a process that creates their users.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from benchmarks.part import Part, post, time_call
from benchmarks.processes import tree_cpu
from benchmarks.sandbox import SAMPLE, list_requests
from benchmarks.table import Bound, Row, in_rounds, in_turn
from tests import orders
from tests.examples import subscribed
from tests.processes import Sandbox, pause

_PAGES, _MANY = 20, 100
_WEBHOOKS = 100
# Each is delivered to all webhooks; a few more than needed, since the last ones take a moment.
_ORDERS = 5.3  # per second


def measure(part: Part) -> Iterator[Row]:
    """Measure without and with pages in turn, then under load. Each page is another user's."""
    seconds, rounds, count = part.size((5, 1, 200), (20, 3, 1_000))
    sandbox, ended = part.sandbox(), threading.Event()
    client = part.process("http_client", "")
    users = part.process("live", SIM_DATA_DIR=str(sandbox.data_dir))
    cookies = users.ask("sign_in", count=_MANY)

    def trigger() -> None:
        while not ended.wait(1 / 5):
            sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")

    def spend() -> dict[str, float]:
        began, before = time.monotonic(), tree_cpu(sandbox.process.popen.pid)
        pause(seconds)
        cores = (tree_cpu(sandbox.process.popen.pid) - before) / (time.monotonic() - began)
        return {"cores": cores, **list_requests(client, sandbox, count)}

    def spend_beside_pages() -> dict[str, float]:
        pages = part.process("pages", "")
        opened = pages.ask("open_pages", url=sandbox.url, cookies=cookies[:_PAGES])
        assert opened == _PAGES, f"{opened} of {_PAGES} pages have a stream"
        took, spent = time_call(spend)
        counts = pages.ask("counts")
        pages.stop()
        return {**spent, **{name: number / took for name, number in counts.items()}}

    list_requests(client, sandbox, count)
    with (
        subscribed(sandbox, part.handler_url) as hook,
        ThreadPoolExecutor(1) as thread,
        ExitStack() as ending,
    ):
        ending.callback(ended.set)
        thread.submit(trigger)
        without, beside = in_turn(rounds, spend, spend_beside_pages)
    costs = [more["cores"] - less["cores"] for more, less in zip(beside, without, strict=True)]
    yield in_rounds(f"CPU of {_PAGES} open pages, cores", costs, bound=Bound(0.5))
    yield in_rounds(f"events per second of {_PAGES} pages", beside, key="events")
    yield in_rounds("requests of parts of pages per second", beside, key="requests")
    yield in_rounds(
        f"p50 of a list beside {_PAGES} pages, ms",
        beside,
        without,
        "without them",
        Bound(2),
        key="p50",
        scale=1e3,
    )
    for many in (_PAGES, _MANY):
        rate, errors, updates = _load(part, sandbox, cookies[:many], seconds)
        yield Row(
            f"deliveries per second beside {many} pages",
            rate,
            # Beside more pages there must be no error, but the rate has no floor.
            bound=Bound(500, at_least=True) if many == _PAGES else None,
        )
        yield Row(f"beside {many} pages: errors of pages and deliveries", errors, bound=Bound(0))
        yield Row(f"beside {many} pages: requests of parts of pages", updates)


def sign_in(count: int) -> list[str]:
    """Create users of the vendor, and return the cookie of a session of each."""
    from django.test import Client

    from requests_queue.catalog.models import Account, User

    vendor = Account.objects.filter(type="vendor").earliest("created", "pk")
    clients = [Client() for _ in range(count)]
    for n, client in enumerate(clients):
        uid = f"UR-990-000-{n:03}"
        client.force_login(User.objects.create(username=f"page-{n}", uid=uid, account=vendor))
    return [client.cookies.output(attrs=[], header="", sep=";").strip() for client in clients]


def _load(
    part: Part, sandbox: Sandbox, cookies: list[str], seconds: float
) -> tuple[float, int, int]:
    """Open pages beside 500 deliveries per second; return the rate that is reached, all errors,
    and the requests of the pages. A refused order ends the benchmark."""
    pages = part.process("pages", "")
    with ExitStack() as stack:
        hooks = [
            stack.enter_context(subscribed(sandbox, f"{part.handler_url}/load/{n}"))
            for n in range(_WEBHOOKS)
        ]

        def stats() -> list[dict[str, Any]]:
            return [orders.stats(sandbox, hook) for hook in hooks]

        part.handler.ask("reset")
        opened = pages.ask("open_pages", url=sandbox.url, cookies=cookies)
        began = time.monotonic()
        for n in range(int(_ORDERS * seconds)):
            pause(max(0.0, began + n / _ORDERS - time.monotonic()))
            post(sandbox, "queue/samples", SAMPLE)
        expected = int(_ORDERS * seconds) * _WEBHOOKS
        pages.wait_until(lambda: part.handler.ask("count") >= expected, "all deliveries arrive", 60)
        rate = expected / (part.handler.ask("span")["last"] - began)
        counts = pages.ask("counts")
        pages.stop()
        part.handler.wait_until(
            lambda: sum(each["triggers"] for each in stats()) >= expected, "they are recorded", 60
        )
        failed = sum(each["failure_triggers"] for each in stats())
        repeated = part.handler.ask("count") - expected
    errors = counts["errors"] + failed + repeated + len(cookies) - opened
    return rate, errors, counts["requests"]
