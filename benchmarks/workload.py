"""In a measured process: webhooks, pending deliveries, and queue changes at a steady rate.

In the embedded set-up changes are made in the process of the engine, otherwise in one of its own.
B7: claims. B8: requests that match webhooks. `log` and `live`: deliveries and users of pages.
"""

import itertools
import json
import os
import time
import uuid
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any

from django.conf import settings
from django.db import transaction
from django.test import Client

from benchmarks import calls
from benchmarks.served import at_rate
from requests_queue import clock, seed
from requests_queue.catalog import keys
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, User
from requests_queue.db import retention
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from tests import engines, make, old_deliveries
from webhooks.delivery import attempt, claim, fan_out
from webhooks.models import Delivery, Webhook

analyze, move_clock = calls.analyze, engines.move_clock
_HANGING = {"webhook__external_url__contains": "/hang/"}
# Of each group of webhooks: the catalog, with the product that they are for.
_groups: list[make.Catalog] = []
_position: list[Any] = [None]


def fixtures(handler: str, groups: list[tuple[str, int]], paced: int) -> int:
    """Create webhooks in an empty database: groups with a product each, and those of `paced` more
    products, which have a request each; return how many requests may be in flight.

    A group has a path of the handler and its number of webhooks.
    """
    calls.migrate()
    made, data = itertools.count(1), {"environment": "benchmark"}
    with transaction.atomic():
        for path, count in groups:
            _groups.append(_catalog(len(_groups)))
            for n in range(1, count + 1):
                url = f"{handler}/{path}/{n}"
                make.webhook(_groups[-1], url, next(made), data={**data, "n": n})
        for n in range(paced):
            catalog = _catalog(len(groups) + n)
            # Before its webhook, which it does not trigger.
            make.order(catalog)
            make.webhook(catalog, f"{handler}/paced/{n}", next(made), data=data)
    return int(settings.SIM_CALLS)


def _catalog(n: int) -> make.Catalog:
    # There is room for one character in ids.
    return make.catalog(chr(0x4E00 + n))


def fill(each: int, groups: list[int]) -> None:
    """Create `each` pending deliveries of each webhook of groups, all visible at one commit."""
    Webhook.objects.filter(external_url__contains="/hang/").update(responds=False)
    changes = [
        transitions.Change(
            "fulfillment_request",
            f"PR-0000-0000-{n:04d}-001",
            catalog.product.pk,
            (catalog.vendor.pk,),
            "draft",
            "pending",
            clock.now(),
        )
        for catalog in (_groups[group] for group in groups)
        for n in range(each)
    ]
    with transaction.atomic():
        # Together, so that a webhook is counted once: PostgreSQL would keep a version of its row
        # for each change, and read all of them for each delivery's foreign key.
        fan_out.record(*changes)


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Change the status of requests of the paced products in turn, at a fixed rate; return the
    commit time of each change, by the path of the webhook that it triggers."""
    hooks = list(Webhook.objects.filter(external_url__contains="/paced/").order_by("pk"))
    rows = [Request.objects.get(asset__product=hook.product_id) for hook in hooks]
    committed: dict[str, list[float]] = {f"/paced/{n}": [] for n in range(len(hooks))}
    body = {"planned_date": "2100-01-01T00:00:00+00:00"}
    for n in at_rate(rate, rate * seconds):
        turn = n % len(hooks)
        hook, row, times = hooks[turn], rows[turn], committed[f"/paced/{turn}"]
        name = "schedule" if row.status == "pending" else "pend"
        with transaction.atomic():
            # Registered first, so that it runs right after COMMIT, before the wake-up.
            transaction.on_commit(lambda times=times: times.append(time.monotonic()))
            rows[turn] = transitions.move(
                Request, row.pk, name, Actor(hook.created_by, hook.account), body
            )
    return committed


def unfinished(hanging: bool) -> int:
    rows = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    return (rows.filter if hanging else rows.exclude)(**_HANGING).count()


def backoff() -> float:
    """Return the seconds until the last backoff ends; 0 unless all webhooks have one, and nothing
    is in flight."""
    rows = Webhook.objects.filter(earliest_possible_trigger__gt=clock.now())
    ends = rows.values_list("earliest_possible_trigger", flat=True)
    calling = Delivery.objects.filter(state=Delivery.CALLING)
    if len(ends) < Webhook.objects.count() or calling.exists():
        return 0.0
    return (max(ends) - clock.now()).total_seconds()


def posts() -> list[dict[str, Any]]:
    rows = claim.load_webhooks(set(Webhook.objects.values_list("pk", flat=True))).values()
    claimed = [claim.Claim(0, uuid.uuid4(), 1, False, clock.now(), row) for row in rows]
    return [
        {"url": sent.url, "headers": dict(sent.headers), "body": (sent.body or b"").decode()}
        for sent in (attempt.prepare(each).request for each in claimed)
    ]


def old(each: int) -> None:
    old_deliveries.fill(list(Webhook.objects.all()), each)


def prune() -> tuple[int, bool]:
    """Run retention for half a second, as the scheduler does; return the number of deleted
    deliveries, and whether no old one is left."""
    run = retention.run(0.5, _position[0])
    _position[0] = run.position
    old = Delivery.objects.filter(created_at__lt=make.AT - timedelta(days=200))
    return run.removed["deliveries"], not old.exists()


def time_claim(count: int) -> float:
    """Return the seconds of a claim, as an engine with free slots makes it, and undo it."""
    start = time.monotonic()
    claimed = claim.claim(count, claim.Slots(settings.SIM_CALLS)).claims
    seconds = time.monotonic() - start
    assert len(claimed) == count, f"claimed {len(claimed)} deliveries, not {count}"
    rows = Delivery.objects.filter(state=Delivery.CALLING)
    rows.update(state=Delivery.WAITING, claim=None, lease=None, started_at=None)
    return seconds


def claim_plan(count: int) -> list[str]:
    """Return the steps of the statements of a claim that are about deliveries."""
    # The last one undoes it.
    sent = calls.statements(partial(time_claim, count))[:-1]
    return [step for sql in sent if "webhooks_delivery" in sql for step in calls.explain(sql)]


def prepare_fan_out(matching: int, other: int) -> None:
    """Fill the database: webhooks that match the requests, and others of the same product or of
    the same object class."""
    # All of them on one core: between two, those that do the same differ by up to 11 %.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    fixtures("http://127.0.0.1:9", [("matching", matching), ("other", other)], 0)
    foreign = Webhook.objects.filter(product=_groups[1].product, data__n__lte=other // 2)
    foreign.update(product=_groups[0].product, object_class="tier_config_request")
    keys.store(_groups[0].provider, calls.KEYS["provider"], "Benchmark")
    calls.analyze()
    calls.spend(create, 10)  # warm-up


def create() -> tuple[float, ...]:
    """Create a request by the API; return its CPU seconds, with those of the database server."""
    body = json.dumps(make.purchase(_groups[0])).encode()
    sent = ("POST", "/public/v1/requests", calls.KEYS["provider"], "", body)
    return calls.spend(partial(calls.call, *sent))[1:]


def prepare_log(counts: dict[str, int]) -> None:
    """Fill the database with deliveries of accounts, those of all but the last in turn."""
    calls.migrate()
    seed.run(lambda line: None)
    made = make.catalog("1")
    hooks = {}
    for n, pk in enumerate(counts):
        account = Account.objects.get(pk=pk)
        User.objects.create(uid=f"UR-900-{pk[3:]}", username=pk, account=account, email=pk)
        hooks[pk] = [make.webhook(made, n=10 * n + i, account=account) for i in range(4)]
    own, foreign, few = counts
    every = counts[foreign] // counts[own] + 1
    owners = [foreign if n % every else own for n in range(counts[own] + counts[foreign])]
    calls.make_attempts(
        (
            hooks[owner][n % 4],
            f"PR-{n // 10000:04d}-{n % 10000:04d}-0000-001",
            "failed" if n % 11 == 0 else "waiting" if n % 17 == 0 else "delivered",
            make.AT + timedelta(seconds=2 * n),
        )
        for n, owner in enumerate(owners + [few] * counts[few])
    )
    calls.analyze()


def spend_log(account: str, query: str, count: int) -> list[float]:
    """Return milliseconds of CPU of a page, including the database server's, and the number of its
    statements."""
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(User.objects.get(email=account))
    rows = Delivery.objects.filter(webhook__account=account).order_by("-pk")
    last = list(rows.values_list("pk", flat=True))[-100]
    get = partial(client.get, f"/deliveries/{query.replace('*', str(last))}")
    assert get().status_code == 200, f"/deliveries/{query} is no page"
    spent = [calls.spend(get)[1] for _ in range(count)]
    return [median(spent) * 1e3, len(calls.statements(get))]


def sign_in(count: int) -> list[str]:
    vendor = Account.objects.filter(type="vendor").earliest("created", "pk")
    clients = [Client() for _ in range(count)]
    for n, client in enumerate(clients):
        uid = f"UR-990-000-{n:03}"
        client.force_login(User.objects.create(username=f"page-{n}", uid=uid, account=vendor))
    return [client.cookies.output(attrs=[], header="", sep=";").strip() for client in clients]
