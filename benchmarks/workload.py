"""In a measured process: webhooks, pending deliveries, and queue changes at a steady rate.

In the embedded set-up changes are made in the process of the engine, otherwise in one of its own.
B7: claims. B8: requests that match webhooks. `log` and `live`: deliveries and users of pages.
"""

import json
import os
import time
import uuid
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.test import Client

from benchmarks import calls
from requests_queue import clock, retention, seed, sql, transitions
from requests_queue.catalog import keys
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, User
from requests_queue.queues.fulfillment.models import Request
from requests_queue.transitions import Change
from tests import engines, make, old_deliveries
from webhooks.delivery import attempt, fan_out
from webhooks.delivery import claim as claims
from webhooks.delivery.claim import Claim, Slots
from webhooks.models import Attempt, Delivery, Event, Webhook

analyze, move_clock = calls.analyze, engines.move_clock
_HANGING = Q(webhook__external_url__endswith="/hang")
# Of each group of webhooks: the catalog, with the product that they are for.
_groups: list[make.Catalog] = []
_position: list[Any] = [None]
_body: list[bytes] = []


def fixtures(handler: str, groups: list[tuple[str, int]], paced: int) -> int:
    """Create webhooks in an empty database: groups with a product each, and those of `paced` more
    products, which have a request each; return how many requests may be in flight.

    A group has a path of the handler and its number of webhooks.
    """
    calls.migrate()
    with transaction.atomic():
        data, made = {"environment": "benchmark"}, 0
        for path, count in groups:
            _groups.append(_catalog(len(_groups)))
            for n in range(1, count + 1):
                url = f"{handler}/{path}" if path == "hang" else f"{handler}/{path}/{n}"
                made += 1
                make.webhook(_groups[-1], url, made, data={**data, "n": n})
        for n in range(paced):
            catalog = _catalog(len(groups) + n)
            # Before its webhook, which it does not trigger.
            make.order(catalog)
            make.webhook(catalog, f"{handler}/paced/{n}", made + 1 + n, data=data)
    return int(settings.SIM_CALLS)


def _catalog(n: int) -> make.Catalog:
    # There is room for one character in ids.
    return make.catalog(chr(0x4E00 + n))


def fill(each: int, groups: list[int]) -> None:
    """Create `each` pending deliveries of each webhook of groups, all visible at one commit."""
    Webhook.objects.filter(external_url__endswith="/hang").update(responds=False)
    with transaction.atomic():
        for catalog in (_groups[group] for group in groups):
            for n in range(each):
                about = (f"PR-0000-0000-{n:04d}-001", catalog.product.pk, (catalog.vendor.pk,))
                fan_out.record(
                    Change("fulfillment_request", *about, "draft", "pending", clock.now())
                )


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Change the status of requests of the paced products in turn, at a fixed rate; return the
    commit time of each change, by the path of the webhook that it triggers."""
    hooks = list(Webhook.objects.filter(external_url__contains="/paced/").order_by("pk"))
    rows = [Request.objects.get(asset__product=hook.product_id) for hook in hooks]
    committed: dict[str, list[float]] = {f"/paced/{n}": [] for n in range(len(hooks))}
    body = {"planned_date": "2100-01-01T00:00:00+00:00"}
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        turn = n % len(hooks)
        hook, row, times = hooks[turn], rows[turn], committed[f"/paced/{turn}"]
        name = "schedule" if row.status == "pending" else "pend"
        with transaction.atomic():
            # Registered first, so that it runs right after COMMIT, before the wake-up.
            transaction.on_commit(lambda times=times: times.append(time.monotonic()))
            actor = Actor(hook.created_by, hook.account)
            rows[turn] = transitions.move(Request, row.pk, name, actor, body)
    return committed


def unfinished(hanging: bool) -> int:
    rows = Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))
    return rows.filter(_HANGING if hanging else ~_HANGING).count()


def backoff() -> float:
    """Return the seconds until the last backoff ends; 0 unless all webhooks have one, and nothing
    is in flight."""
    rows = Webhook.objects.filter(earliest_possible_trigger__gt=clock.now())
    ends = list(rows.values_list("earliest_possible_trigger", flat=True))
    is_calling = Delivery.objects.filter(state=Delivery.CALLING).exists()
    if len(ends) != Webhook.objects.count() or is_calling:
        return 0.0
    return (max(ends) - clock.now()).total_seconds()


def posts() -> list[dict[str, Any]]:
    """Return one signed request for each of the webhooks, for the baseline."""
    ids = set(Webhook.objects.values_list("pk", flat=True))
    sent = [
        attempt.prepare(Claim(0, uuid.uuid4(), 1, False, clock.now(), row)).request
        for row in claims.load_webhooks(ids).values()
    ]
    return [
        {"url": c.url, "headers": dict(c.headers), "body": (c.body or b"").decode()} for c in sent
    ]


def old(each: int) -> None:
    old_deliveries.fill(list(Webhook.objects.all()), each)


def prune() -> int:
    """Run retention for half a second, as the scheduler does; return the deleted deliveries."""
    run = retention.run(0.5, _position[0])
    _position[0] = run.position
    return run.removed["deliveries"]


def left() -> int:
    return Delivery.objects.filter(created_at__lt=make.AT - timedelta(days=200)).count()


def prepare_claims(due: int, finished: int) -> None:
    """Fill the database: deliveries of 100 webhooks in turn, the finished ones first."""
    calls.migrate()
    catalog = make.catalog("1")
    for n in range(100):
        make.webhook(catalog, n=100 + n)
    now = sql.datetime_param(clock.now())
    with connection.cursor() as cursor:
        for count, state, attempts in ((finished, "delivered", 1), (due, "waiting", 0)):
            cursor.execute(
                "INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts) "
                "WITH RECURSIVE numbers(n) AS "
                "(SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s) "
                "SELECT 'WH-000-000-' || (100 + n %% 100), %s, %s, %s, %s FROM numbers "
                "WHERE n < %s",
                [count, state, False, now, attempts, count],
            )
        calls.analyze()
        # What has been written is on disk before anything is measured.
        is_postgresql = connection.vendor == "postgresql"
        cursor.execute("CHECKPOINT" if is_postgresql else "PRAGMA wal_checkpoint(TRUNCATE)")


def claim(count: int) -> float:
    """Return the seconds of a claim, as an engine with free slots makes it, and undo it."""
    start = time.monotonic()
    claimed = _claim(count)
    seconds = time.monotonic() - start
    assert len(claimed) == count, f"claimed {len(claimed)} deliveries, not {count}"
    _undo()
    return seconds


def claim_plans(count: int) -> list[str]:
    lines = []
    for statement, params in calls.statements(partial(_claim, count)):
        if "webhooks_delivery" in statement:
            lines.append(f"  {statement.split(maxsplit=1)[0]}")
            lines += [f"    {step}" for step in calls.explain(statement, params)]
    _undo()
    # Some steps are repeated for each webhook.
    return list(dict.fromkeys(lines))


def _claim(count: int) -> Any:
    return claims.claim(count, Slots(settings.SIM_CALLS)).claims


def _undo() -> None:
    rows = Delivery.objects.filter(state=Delivery.CALLING)
    rows.update(state=Delivery.WAITING, claim=None, lease=None, started_at=None)


def prepare_fan_out(matching: int, other: int) -> None:
    """Fill the database: webhooks that match the requests, and others of the same product or of
    the same object class."""
    # All of them on one core: between two, those that do the same differ by up to 11 %.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    calls.migrate()
    catalog, foreign = make.catalog("1"), make.catalog("2")
    with transaction.atomic():
        for n in range(matching):
            make.webhook(catalog, n=n)
        for n in range(matching, matching + other):
            kind = "tier_config_request" if n % 2 else "fulfillment_request"
            make.webhook(catalog if n % 2 else foreign, n=n, object_class=kind)
    keys.store(catalog.provider, calls.KEYS["provider"], "Benchmark")
    _body.append(json.dumps(make.purchase(catalog)).encode())
    calls.analyze()
    calls.spend(create, 10)  # warm-up


def create() -> float:
    """Create a request by the API; return its CPU seconds, with those of the database server."""
    path, key = "/public/v1/requests", calls.KEYS["provider"]
    return calls.spend(partial(calls.call, "POST", path, key, body=_body[0]))[1]


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
    rows = Delivery.objects.bulk_create(
        [
            Delivery(
                webhook=hooks[owner][n % 4],
                state="failed" if n % 11 == 0 else "waiting" if n % 17 == 0 else "delivered",
                created_at=make.AT + timedelta(seconds=2 * n),
                attempts=1,
            )
            for n, owner in enumerate(owners + [few] * counts[few])
        ],
        batch_size=500,
    )
    Event.objects.bulk_create(
        [
            Event(
                webhook_id=row.webhook_id,
                delivery=row,
                status_to="pending",
                at=row.created_at,
                object_id=f"PR-{row.pk // 10000:04d}-{row.pk % 10000:04d}-0000-001",
            )
            for row in rows
        ],
        batch_size=500,
    )
    Attempt.objects.bulk_create(
        [
            Attempt(
                webhook_id=row.webhook_id,
                delivery=row,
                number=1,
                method="POST",
                outcome="success" if row.state == "delivered" else "failure",
                started_at=row.created_at,
                finished_at=row.created_at,
                duration=12,
                url="http://127.0.0.1:9/",
                status_code=200 if row.state == "delivered" else 503,
                request_body='{"data": {}}' * 40,
                response_body=b'{"result": "code %d"}' % (row.pk % 100),
            )
            for row in rows
        ],
        batch_size=500,
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
    """Create users of the vendor, and return the cookie of a session of each."""
    vendor = Account.objects.filter(type="vendor").earliest("created", "pk")
    clients = [Client() for _ in range(count)]
    for n, client in enumerate(clients):
        uid = f"UR-990-000-{n:03}"
        client.force_login(User.objects.create(username=f"page-{n}", uid=uid, account=vendor))
    return [client.cookies.output(attrs=[], header="", sep=";").strip() for client in clients]
