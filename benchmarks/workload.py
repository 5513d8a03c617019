"""The workload: fixtures, pending deliveries, and queue changes at a steady rate."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any

from benchmarks.processes import serve

DRAIN = 99
PACED = 8
HEALTHY = 100
_PLANNED = "2100-01-01T00:00:00+00:00"


def fixtures(handler: str, count: int = DRAIN, path: str = "drain") -> None:
    """Create webhooks in an empty database: `count` of one product, one whose handler hangs, and
    one for each of eight more products."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.queues.fulfillment import creation
    from tests import make

    catalog = make.catalog("1")
    for n in range(1, count + 1):
        make.webhook(catalog, f"{handler}/{path}/{n}", n, data={"environment": "benchmark", "n": n})
    make.webhook(catalog, f"{handler}/hang", count + 1, active=False)
    for n in range(PACED):
        catalog = make.catalog(str(n + 2))
        make.webhook(
            catalog, f"{handler}/paced/{n}", count + 2 + n, data={"environment": "benchmark"}
        )
        creation.create(make.purchase(catalog), catalog.as_distributor)


def fill(each: int, hanging: bool) -> None:
    """Create `each` pending deliveries of each webhook, all visible at one commit."""
    from django.db import transaction

    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks.delivery import fan_out
    from webhooks.models import Webhook

    Webhook.objects.filter(external_url__endswith="/hang").update(active=hanging)
    first = Webhook.objects.earliest("pk")
    with transaction.atomic():
        for n in range(each):
            change = Change(
                "fulfillment_request",
                f"PR-0000-0000-{n:04d}-001",
                first.product_id,
                (first.account_id,),
                "draft",
                "pending",
                clock.now(),
            )
            fan_out.record(change)


def old(each: int) -> None:
    """Insert `each` finished deliveries of each webhook that retention removes."""
    from tests import old_deliveries
    from webhooks.models import Webhook

    old_deliveries.fill(list(Webhook.objects.filter(external_url__contains="/drain/")), each)


_pruning: list[tuple[threading.Thread, threading.Event, list[int]]] = []


def prune() -> None:
    """Begin to run retention in a thread, as the scheduler does, until `pruned`."""
    from django.db import connection

    from requests_queue import retention

    stop, removed = threading.Event(), [0]

    def work() -> None:
        position = None
        try:
            while not stop.is_set():
                run = retention.run(0.5, position)
                removed[0] += run.removed["deliveries"]
                position = run.position
        finally:
            connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    _pruning.append((thread, stop, removed))


def pruned() -> dict[str, int]:
    """End it; return how many deliveries were removed, and how many are left to remove."""
    from datetime import timedelta

    from tests import make
    from webhooks.models import Delivery

    thread, stop, removed = _pruning.pop()
    stop.set()
    thread.join()
    left = Delivery.objects.filter(created_at__lt=make.AT - timedelta(days=200))
    return {"removed": removed[0], "left": left.count()}


def move_clock(seconds: float) -> None:
    """Move platform time forward; an engine notices within a second."""
    from tests import engines

    engines.move_clock(seconds)


def backing_off() -> dict[str, float]:
    """Return how many webhooks back off, deliveries are in flight, and the seconds until the last
    backoff ends."""
    from django.db.models import Max

    from requests_queue import clock
    from webhooks.models import Delivery, Webhook

    rows = Webhook.objects.filter(earliest_possible_trigger__gt=clock.now())
    last = rows.aggregate(at=Max("earliest_possible_trigger"))["at"]
    return {
        "webhooks": rows.count(),
        "in_flight": Delivery.objects.filter(state=Delivery.CALLING).count(),
        "seconds": (last - clock.now()).total_seconds() if last else 0.0,
    }


def pending() -> int:
    """Return the number of unfinished deliveries of webhooks that respond."""
    return _unfinished().exclude(webhook__external_url__endswith="/hang").count()


def hanging() -> int:
    """Return the number of unfinished deliveries of the webhooks that hang."""
    return _unfinished().filter(webhook__external_url__endswith="/hang").count()


def _unfinished() -> Any:
    from webhooks.models import Delivery

    return Delivery.objects.filter(state__in=(Delivery.WAITING, Delivery.CALLING))


def posts() -> list[dict[str, Any]]:
    """Return one signed request for each of the 99 webhooks, for the baseline."""
    from requests_queue import clock
    from webhooks.delivery import in_flight, taking
    from webhooks.delivery.claimed import ClaimedDelivery
    from webhooks.models import Webhook

    ids = set(Webhook.objects.filter(external_url__contains="/drain/").values_list("pk", flat=True))
    claimed_rows = [
        ClaimedDelivery(0, uuid.uuid4(), 1, False, clock.now(), row)
        for row in taking.load_webhooks(ids).values()
    ]
    sent = [in_flight.prepare(claimed).request for claimed in claimed_rows]
    return [
        {"url": c.url, "headers": dict(c.headers), "body": (c.body or b"").decode()} for c in sent
    ]


def commit(rate: int, seconds: int) -> dict[str, list[float]]:
    """Change the status of requests of the eight products in turn, at a fixed rate; return the
    commit time of each change, by the path of the webhook that it triggers."""
    from django.db import transaction

    from requests_queue import transitions
    from requests_queue.catalog.actors import Actor
    from requests_queue.queues.fulfillment.models import Request
    from webhooks.models import Webhook

    committed: dict[str, list[float]] = {}
    targets = []
    for n in range(PACED):
        hook = Webhook.objects.get(external_url__endswith=f"/paced/{n}")
        row = Request.objects.get(asset__product=hook.product_id)
        targets.append((f"/paced/{n}", row, Actor(hook.created_by, hook.account)))
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        path, row, actor = targets[n % PACED]
        times = committed.setdefault(path, [])
        with transaction.atomic():
            # Registered first, so that it runs right after COMMIT, before the wake-up.
            transaction.on_commit(lambda times=times: times.append(time.monotonic()))
            name = "schedule" if row.status == "pending" else "pend"
            row = transitions.move(Request, row.pk, name, actor, {"planned_date": _PLANNED})
            targets[n % PACED] = (path, row, actor)
    return committed


def hanging_fixtures(handler: str, groups: list[int]) -> int:
    """Create 100 webhooks that respond, each with its own product, and groups of webhooks that
    hang, one product a group, in an empty database; return SIM_CALLS."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0, interactive=False)
    from requests_queue.catalog.models import Product
    from tests import make
    from webhooks.models import Webhook

    catalog = make.catalog("1")
    numbers = iter(range(1, 1_000_000))

    def product(name: str) -> Product:
        return Product.objects.create(
            id=f"PRD-{name}", name=name, owner=catalog.vendor, created=make.AT, updated=make.AT
        )

    def hook(of: Product, url: str) -> Webhook:
        n = next(numbers)
        return Webhook(
            id=f"WH-000-{n // 1000:03d}-{n % 1000:03d}",
            label=f"Hook {n}",
            product=of,
            account=catalog.vendor,
            object_class="fulfillment_request",
            external_url=url,
            jwt_secret=f"JWT-secret-of-thirty-two-bytes-or-more-{n}",
            created_at=make.AT,
        )

    for n in range(HEALTHY):
        hook(product(f"healthy-{n}"), f"{handler}/healthy/{n}").save()
    for group, count in enumerate(groups):
        of = product(f"hanging-{group}")
        Webhook.objects.bulk_create([hook(of, f"{handler}/hang") for _ in range(count)], 500)
    if connection.vendor == "postgresql":
        # As autovacuum does within a minute when a table has grown.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return int(settings.SIM_CALLS)


def hang(group: int, each: int) -> None:
    """Create `each` pending deliveries of each webhook of a group that has never succeeded."""
    from django.db import transaction

    from webhooks.models import Webhook

    Webhook.objects.filter(product=f"PRD-hanging-{group}").update(responds=False)
    for n in range(each):
        with transaction.atomic():
            _record(f"PRD-hanging-{group}", n)


def pace(rate: int, seconds: int) -> dict[str, list[float]]:
    """Record changes for the 100 webhooks that respond, in turn at a fixed rate; return their
    commit times by the path of the webhook."""
    from django.db import transaction

    committed: dict[str, list[float]] = {}
    start = time.monotonic()
    for n in range(rate * seconds):
        time.sleep(max(0.0, start + n / rate - time.monotonic()))
        times = committed.setdefault(f"/healthy/{n % HEALTHY}", [])
        with transaction.atomic():
            transaction.on_commit(lambda times=times: times.append(time.monotonic()))
            _record(f"PRD-healthy-{n % HEALTHY}", n)
    return committed


def _record(product_id: str, n: int) -> None:
    from requests_queue import clock
    from requests_queue.transitions import Change
    from webhooks.delivery import fan_out

    pk = f"PR-0000-0000-{n:04d}-001"
    account_ids = ("VA-111-111",)
    fan_out.record(
        Change("fulfillment_request", pk, product_id, account_ids, "draft", "pending", clock.now())
    )


def main() -> None:
    """Serve commands; in the embedded set-up `commit` runs in the measured process instead."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connect_sim.settings")
    import django

    django.setup()
    serve(
        {
            "fixtures": fixtures,
            "fill": fill,
            "pending": pending,
            "hanging": hanging,
            "posts": posts,
            "old": old,
            "prune": prune,
            "pruned": pruned,
            "move_clock": move_clock,
            "backing_off": backing_off,
            "commit": commit,
            "hanging_fixtures": hanging_fixtures,
            "hang": hang,
            "pace": pace,
        }
    )


if __name__ == "__main__":
    main()
